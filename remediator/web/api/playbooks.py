"""Playbooks: what is loaded, and a run that a person asks for."""

from __future__ import annotations

from remediator.model import Json
from remediator.web.api.call import PAGE, WHO, Call, Route, missing, paged
from remediator.web.api.fields import Field
from selfheal.common.keys import Role

WHAT = "playbook with this name"

LABELS = Field("labels", "labels", "the labels that its templates are filled with", default={})
DRY = Field("dry_run", "switch", "only say what would be done, by plans and guards", default=True)


def listed(call: Call) -> Json:
    """Return a page of the playbooks in force."""
    return paged(call.service.playbooks(), *call.page)


def one(call: Call) -> Json:
    """Return one playbook. Raise Problem if there is none."""
    return _find(call)


def run(call: Call) -> Json:
    """Run a playbook by hand, through all guards, or say what it would do."""
    _find(call)
    return call.service.run_playbook(call.path["name"], call.body["labels"], call.who, call.body["dry_run"])


def _find(call: Call) -> Json:
    for found in call.service.playbooks():
        if found["name"] == call.path["name"]:
            return found
    raise missing(WHAT)


ROUTES = (
    Route("GET", "/playbooks", Role.VIEWER, listed, "Playbooks in force", "Playbooks", PAGE, cache=5),
    Route("GET", "/playbooks/<name>", Role.VIEWER, one, "One playbook", "Playbook", cache=5),
    Route(
        "POST",
        "/playbooks/<name>/run",
        Role.OPERATOR,
        run,
        "Run a playbook by hand, or say what it would do",
        "Run",
        body=(LABELS, DRY, WHO),
    ),
)
