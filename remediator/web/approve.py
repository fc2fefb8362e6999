"""The page behind a signed link: it shows a plan and changes nothing; only what its form sends is an answer.

The token in the address is the credential, so there is no cookie that another site could make a browser send.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from remediator.errors import RemediatorError, StoreUnavailable
from remediator.model import ApprovalState
from remediator.web.links import PATH
from remediator.web.page import POLICY, render
from remediator.web.service import Service

FORM_POLICY = POLICY.replace("form-action 'none'", "form-action 'self'")
"""What a browser may do here; on no other page may a form send anything."""
LONGEST = 256
"""Characters of a name, and of a reason."""
SHOWN = 20
"""Things of a plan that are listed at once; the others are shown when the reader opens them."""
OVER = frozenset({ApprovalState.EXPIRED, ApprovalState.VOID})


def add_routes(flask: Flask, service: Service) -> None:
    """Add the page and its form."""

    @flask.get(PATH + "<token>")
    def _ask(token: str) -> Response:
        return _page(service, token)

    @flask.post(PATH + "<token>")
    def _answer(token: str) -> AnyResponse:
        found = service.linked(token)
        if found is None:
            return _page(service, token)
        problem = _given()
        if problem is not None:
            return _page(service, token, problem, 400)
        who, why = request.form["who"].strip(), request.form.get("why", "").strip()
        try:
            if request.form["answer"] == "approve":
                service.approve(int(found["id"]), found["plan_hash"], who, "link")
            else:
                service.refuse(int(found["id"]), found["plan_hash"], who, why, "link")
        except StoreUnavailable:
            raise
        except RemediatorError:
            # answered by somebody else, or over, since the page was drawn: the page says which
            return _page(service, token, "approve.not_counted", 409)
        # a page that was sent is not sent again when the reader asks for it anew
        return redirect(request.full_path.rstrip("?"), 303)


def _given() -> str | None:
    """Return the key of what is wrong with the form, or None."""
    if request.form.get("answer") not in ("approve", "refuse"):
        return "approve.answer_needed"
    who = request.form.get("who", "").strip()
    if not 0 < len(who) <= LONGEST or not who.isprintable():
        return "approve.who_needed"
    why = request.form.get("why", "").strip()
    return None if len(why) <= LONGEST and (why.isprintable() or not why) else "approve.why_too_long"


def _page(service: Service, token: str, problem: str | None = None, status: int = 200) -> Response:
    found = service.linked(token)
    if found is None:
        return _drawn(404, question=None, state=None, problem=None)
    state = ApprovalState(found["state"])
    if status == 200 and state in OVER:
        status = 410
    return _drawn(status, question=found, state=state, problem=problem)


def _drawn(status: int, **values: Any) -> Response:
    response = render("approve.html", policy=FORM_POLICY, refreshes=False, most=SHOWN, longest=LONGEST, **values)
    response.status_code = status
    return response
