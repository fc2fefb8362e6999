"""The section `journal` of a policy file."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import AfterValidator

from remediator.policy.journal import DIRECTORY
from remediator.policy_sections.amounts import Amount
from selfheal.common.documents import Duration, Section, told


def _directory(value: str) -> str:
    if not value.startswith("/") or os.path.normpath(value) != value or value == "/" or "\0" in value:
        told(f"{value!r:.200} is not a plain absolute path", "write it from / on, for example /var/log/journal")
    return value


class WrittenJournal(Section):
    """What of the journal always stays."""

    floor: Amount
    keep: Duration
    directory: Annotated[str, AfterValidator(_directory)] = DIRECTORY
