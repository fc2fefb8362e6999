"""The probes of `diagnose:`: what is wrong with them when a file is loaded, and their arguments filled in once.

The room of probes is imported only where a playbook names one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from remediator.model import Alert, Diagnosis, Playbook
from remediator.playbooks.arguments import argument_faults, render_arguments


def diagnosis_faults(document: Any) -> Iterator[tuple[str, str, str]]:
    """Given a playbook file as written, yield what is wrong with its probes: where, what, and the remedy."""
    written = document.get("diagnose") if isinstance(document, dict) else None
    for index, each in enumerate(written if isinstance(written, list) else ()):
        if not isinstance(each, dict) or not isinstance(each.get("probe"), str):
            continue
        probe = _probe(each["probe"])
        arguments = each.get("with", {})
        if probe is None:
            known = ", ".join(sorted(_table()))
            yield f"diagnose[{index}].probe", f"{each['probe'][:80]!r} is no probe", f"known are {known}"
        elif isinstance(arguments, dict):
            for name, what, remedy in argument_faults(probe, arguments):
                yield f"diagnose[{index}].with" + (f".{name}" if name else ""), what, remedy


def rendered(playbook: Playbook, alert: Alert) -> tuple[Diagnosis, ...]:
    """Given a playbook and the alert, return its probes with every template filled in. Raise TemplateRefused."""
    return tuple(
        replace(each, arguments=render_arguments(_probe(each.probe), each.arguments, alert, f"diagnose[{index}].with"))
        for index, each in enumerate(playbook.diagnose)
    )


def _probe(name: str) -> Any:
    return _table().get(name)


def _table() -> Any:
    from remediator.probes import PROBES

    return PROBES
