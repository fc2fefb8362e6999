"""Changes values in a YAML file that a person edits: what stands beside them, comments too, stays as it was written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml


def dump(document: Mapping[str, Any]) -> str:
    """Return a mapping as YAML, keys in their order, one line per value however long."""
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=10_000)


def with_values(text: str, values: Mapping[str, Any]) -> str:
    """Given YAML text of a mapping, return it with these top-level values, new ones at the end, the rest untouched.

    Where that cannot be done in place the whole is written anew, without comments. Raise yaml.YAMLError if the text
    cannot be read.
    """
    before = yaml.safe_load(text)
    wanted = before | values
    changed = {key: value for key, value in values.items() if key not in before or before[key] != value}
    added = {key: value for key, value in changed.items() if key not in before}
    edited = _edited(text, changed) + (dump(added) if added else "")
    try:
        same = yaml.safe_load(edited) == wanted
    except yaml.YAMLError:
        same = False
    return edited if same else dump(wanted)


def _edited(text: str, changed: Mapping[str, Any]) -> str:
    whole = yaml.compose(text, yaml.SafeLoader)
    pairs = whole.value if isinstance(whole, yaml.MappingNode) else []
    # from the last to the first: what is replaced must not move what is still to come
    for key, value in reversed(pairs):
        if key.value in changed:
            start, end = key.start_mark.index, value.end_mark.index
            after = text[start:end]
            # a block ends where the next key begins, so what stands between them is not its own
            kept = len(after) - len(_without_tail(after))
            text = text[:start] + dump({key.value: changed[key.value]}).rstrip("\n") + text[end - kept :]
    return text.rstrip("\n") + "\n"


def _without_tail(block: str) -> str:
    """Return a block without the empty lines and comments at the margin that follow it."""
    lines = block.splitlines(keepends=True)
    while lines and (not lines[-1].strip() or lines[-1].startswith("#")):
        lines.pop()
    return "".join(lines).rstrip("\n")
