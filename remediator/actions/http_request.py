"""Sends one request to a place that the policy lists, once; no redirect is followed, and no credential is written here.

What an answer says of the effect, where it is not the expected one, by RFC 9110:

- GET and HEAD change nothing, so whatever goes wrong is a known failure;
- 4xx, 501 and 505 say that the server did not do it, 300, 304, 307 and 308 that it is to be asked elsewhere: known;
- any other answer to POST and PATCH (5xx; 301 to 303, by which many programs answer once they are done), and none at
  all, leaves it open: unknown;
- the same to PUT and DELETE is a known failure in doubt: sent again they do no more than once (9.2.2).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from remediator.errors import OutcomeUnknown, Refused
from remediator.model import IN_DOUBT, Argument, ArgumentType, Context, Effect, Json, Outcome, Plan
from remediator.outgoing import Answered, Request, send
from remediator.policy.values import METHODS, REPEATABLE_METHODS, SAFE_METHODS

name = "http.request"
version = 1
effect = Effect.DESTRUCTIVE
idempotent = False
arguments: Mapping[str, Argument] = {
    "url": Argument(ArgumentType.URL, required=True),
    "method": Argument(ArgumentType.TEXT, default="POST"),
    "body": Argument(ArgumentType.BODY),
    "content_type": Argument(ArgumentType.TEXT),
    "expect": Argument(ArgumentType.STATUSES),
}

JSON_TYPE = "application/json"
PLAIN = "text/plain; charset=utf-8"
NOT_DONE = frozenset({300, 304, 307, 308, 501, 505})
"""Statuses besides 4xx by which a server says that it has not done what it was asked."""
SHOWN_BODY = 2_000
"""Characters of the answer that are kept."""


def combination_problem(values: Mapping[str, Any]) -> str | None:
    """Return what is wrong with arguments that are right one by one, or None."""
    method, body, content_type = values["method"], values["body"], values["content_type"]
    if method not in METHODS:
        return f"method {method!r:.40} is not known; write one of {', '.join(METHODS)}"
    if body is not None and method in SAFE_METHODS:
        return f"{method} takes no body; remove it, or write POST"
    if content_type is not None and ("{{" in content_type or not content_type.isascii()):
        return "content_type must be plain and without a template; write for example text/plain"
    if content_type is not None and body is None:
        return "content_type says what body is, and there is none; add one of them"
    if isinstance(body, dict | list) and content_type is not None and not _is_json(content_type):
        return f"a mapping is sent as JSON, not as {content_type[:40]}; write text, or leave content_type out"
    if (
        isinstance(body, str)
        and "{{" in body
        and content_type is not None
        and not content_type.startswith("text/plain")
    ):
        # a value would be read as a part of the form around it
        return "a template may stand in plain text or in a mapping; write the body as a mapping, or as text/plain"
    return None


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given what is to be sent, return that; nothing is sent. Raise Refused if the policy forbids URL or method."""
    method, url = arguments["method"], arguments["url"]
    context.policy.address(url, method)
    body, content_type = arguments["body"], arguments["content_type"]
    item: Json = {"kind": "request", "method": method, "url": url}
    if body is not None:
        is_text = isinstance(body, str)
        item["body"] = body if is_text else json.dumps(body)
        item["content_type"] = content_type or (PLAIN if is_text else JSON_TYPE)
    return Plan((item,), {"expect": arguments["expect"]})


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, send exactly that, once.

    Raise Refused if the policy forbids it, ActionFailed if nobody was reached, OutcomeUnknown if POST or PATCH was sent
    and no answer came that says what became of it.
    """
    item = _item(plan)
    method = str(item["method"])
    headers = {"Content-Type": str(item["content_type"])} if "body" in item else {}
    request = Request(method, str(item["url"]), headers, str(item.get("body", "")).encode())
    context.reached("effect_begun")
    try:
        answered = send(context.policy, request, context.deadline - context.monotonic(), context.monotonic)
    except OutcomeUnknown as error:
        if method not in REPEATABLE_METHODS:
            raise
        return Outcome(False, (item,), {"error": str(error), IN_DOUBT: True})
    context.reached("effect_done")
    return _judged(item, answered, plan.detail.get("expect"))


def _judged(item: Json, answered: Answered, expect: list[int] | None) -> Outcome:
    method, status = str(item["method"]), answered.status
    told = _told(answered)
    if status in expect if expect is not None else 200 <= status < 300:
        return Outcome(True, () if method in SAFE_METHODS else (item,), told)
    if method in SAFE_METHODS or status in NOT_DONE or 400 <= status < 500:
        return Outcome(False, (), told)
    if 200 <= status < 300:
        # done, by its own word, though not as it should be
        return Outcome(False, (item,), told)
    if method in REPEATABLE_METHODS:
        return Outcome(False, (item,), {**told, IN_DOUBT: True})
    place = str(item["url"]).partition("?")[0]
    raise OutcomeUnknown(f"{method} {place} was answered by {status}, which leaves open what was done")


def _told(answered: Answered) -> Json:
    text = answered.body.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    cut = answered.cut or len(text) > SHOWN_BODY
    return {"status": answered.status, "seconds": answered.seconds, "body": text[:SHOWN_BODY], "cut": cut}


def _item(plan: Plan) -> Json:
    found = plan.items[0] if len(plan.items) == 1 else {}
    if found.get("kind") != "request" or not {"method", "url"} <= set(found):
        raise Refused("the stored plan names no request")
    return found


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == JSON_TYPE or kind.endswith("+json")
