"""The page at `/` and one page per remediation: what is wrong now, what was done and why. Read-only, no script.

Everything is rendered here and escaped by the templates; the words come from the locale.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from flask import Flask, Response, render_template, request
from markupsafe import Markup, escape

from remediator.locale import LANGUAGES, catalog
from remediator.locale.plans import notes
from remediator.locale.words import (
    asked,
    details,
    fate,
    item,
    last_decision,
    mode,
    moment,
    paused,
    proof,
    where,
    who_answered,
    why,
    word,
    would_touch,
)
from remediator.model import LIVE, Json, State
from remediator.model.trust import above
from remediator.web.api import ASKED_LIMIT, find, is_local_name
from remediator.web.drawing import drawings, svg, words
from remediator.web.problems import Problem, answer_to, careful
from remediator.web.service import Access, Service, is_loopback
from remediator.web.thin import peer_of
from selfheal.common.clock import SystemClock, to_rfc3339

REFRESH = 5
"""Seconds after which the page asks again; `?refresh=0` keeps it still."""
DONE_SHOWN = 30
ALERTS_SHOWN = 200
"""Alerts that are on, at most; the newest. The others are counted."""
EVIDENCE_SHOWN = 8_000
"""Characters of one piece of evidence."""
POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

_STYLE = Path(__file__).with_name("style.css").read_bytes()
_UNDER_WAY = frozenset(LIVE)
_GOOD = frozenset({State.SUCCEEDED, State.WATCHING})
_BAD = frozenset({State.FAILED, State.INEFFECTIVE, State.UNKNOWN})


def add_routes(flask: Flask, service: Service, access: Access) -> None:
    """Add the pages and their style, and an answer to every error."""
    flask.config["MAX_CONTENT_LENGTH"] = ASKED_LIMIT
    flask.register_error_handler(Exception, answer_to)
    flask.after_request(careful)

    @flask.get("/")
    def _overview() -> Response:
        look(access)
        with service.reader() as reader:
            runs = reader.list_remediations(DONE_SHOWN, None)["items"]
            wrong = reader.open_alerts(ALERTS_SHOWN)
            earned = reader.proposals()
        status = service.status()
        # an alert that ended proves nothing: what was done about it is over only when it is proven
        left = sum(status["counts"].get(state, 0) for state in _UNDER_WAY)
        # a lower highest_mode may hide the rung on which it was earned
        proposed = [each for each in earned if (status["playbooks"] or {}).get(each[0]) == each[1]]
        return render("overview.html", status=status, wrong=wrong, runs=runs, left=left, proposed=proposed, above=above)

    @flask.get("/runs/<id>")
    def _run(id: str) -> Response:
        look(access)
        run = find(service, id)
        decisions, earlier = last_decision(run["decisions"])
        return render("run.html", run=run, decisions=decisions, earlier=earlier, drawings=drawings(run["evidence"]))

    @flask.get("/style.css")
    def _style() -> Response:
        return Response(_STYLE, content_type="text/css; charset=utf-8")


def look(access: Access) -> None:
    """Raise Problem unless the present request may see the pages."""
    credential, peer = request.headers.get("Authorization", ""), peer_of(request.environ)
    if not access.may_look(credential, peer):
        raise Problem(401, "Unauthorized", "from another machine the API's bearer token is needed")
    known = access.asks_of_api and access.may_ask(credential, peer)
    if is_loopback(peer) and not known and not is_local_name(request):
        # a page of another site could reach us under a name it made point here, and read what stands here
        raise Problem(403, "Forbidden", "use 127.0.0.1, [::1] or localhost as the host, or the API's bearer token")


def render(template: str, *, policy: str = POLICY, refreshes: bool = True, **values: Any) -> Response:
    """Given a template and its values, return the page in the reader's language; `policy` is what browsers may do."""
    language = _language()
    texts = catalog(language)
    still = not refreshes or request.args.get("refresh") == "0"
    body = render_template(
        template,
        say=texts.say,
        word=lambda group, value: word(texts, group, value),
        fate=lambda alert: fate(texts, alert),
        item=lambda thing: item(texts, thing),
        notes=lambda plan: notes(texts, plan),
        mode=lambda value: mode(texts, value),
        why=lambda run: why(texts, run),
        proof=lambda body: proof(texts, body),
        details=lambda found: details(texts, found),
        would_touch=would_touch,
        who_answered=who_answered,
        where=where,
        asked=asked,
        drawn=lambda drawing, number: svg(drawing, texts, number),
        told=lambda drawing: words(drawing, texts),
        paused=lambda pause: paused(texts, pause),
        moment=moment,
        now=to_rfc3339(SystemClock().now()),
        soft=_soft,
        mark=_mark,
        shown=_shown,
        language=language,
        languages=LANGUAGES,
        refresh=0 if still else REFRESH,
        query=f"?lang={language}" + ("&refresh=0" if still else ""),
        **values,
    )
    response = Response(body, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = policy
    response.headers["Content-Language"] = language
    response.headers["Vary"] = "Accept-Language"
    return response


def _language() -> str:
    wanted = request.args.get("lang")
    if wanted in LANGUAGES:
        return wanted
    return request.accept_languages.best_match(LANGUAGES, "en") or "en"


def _mark(state: object) -> str:
    """Return the style of a state; the words beside it say the same."""
    if state in _GOOD:
        return "good"
    if state in _BAD:
        return "bad"
    return "busy" if state in _UNDER_WAY else "calm"


def _soft(text: object) -> Markup:
    """Return a long name that may be broken after its joints, and nowhere else."""
    return Markup(re.sub(r"([_:/.,-])(?=\w)", r"\1<wbr>", str(escape(text))))


def _shown(body: Json) -> str:
    text = json.dumps(body, ensure_ascii=False, indent=2)
    return text if len(text) <= EVIDENCE_SHOWN else text[:EVIDENCE_SHOWN] + " …"
