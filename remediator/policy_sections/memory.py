"""The section `memory` of a policy file."""

from __future__ import annotations

from selfheal.common.documents import Section


class WrittenMemory(Section):
    """What may be done to the memory of the whole host."""

    drop_caches: bool = False
