"""The page: what it shows, in both languages, and that nothing on it is more than text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from remediator.model import ENDS, LIVE, Mode, State
from remediator.model.trust import Evidence
from tests.web.site import ALERT, API_TOKEN, DETAIL, RUN, Site

EVIL = '<script>alert(1)</script>" onload="x" {{ 7*7 }} {who} &amp; \x1b[2J'


class Page(HTMLParser):
    """Elements and attributes of a page, strictly nested."""

    VOID = frozenset({"meta", "link", "br", "wbr", "img", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_shows_what_is_wrong_and_what_was_done(site: Site) -> None:
    page = Page(site.ask("GET", "/?lang=en").text)

    assert "Wrong now" in page.text
    assert "ProcessMemoryLeak" in page.text
    assert "web-1/process_group:worker" in page.text
    assert "fixed, proven on fresh samples" in page.text
    assert {"href": "/runs/7?lang=en"} in page.named("a")


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", "restart_leaking_worker has earned ask first (approve): 39 of 40 judged runs succeeded, over 8 days."),
        ("ko", "8일 동안 판정된 실행 40건 중 39건이 성공했습니다."),
    ],
)
def test_a_promotion_that_is_proposed_is_shown_with_its_numbers(site: Site, language: str, told: str) -> None:
    earned = Evidence(judged=40, succeeded=39, first_at=0.0, last_at=8 * 86_400.0 + 5)
    site.service.proposed = [
        ("restart_leaking_worker", Mode.OBSERVE, earned),
        # what highest_mode hides, and what no file holds any more
        ("restart_leaking_worker", Mode.APPROVE, earned),
        ("gone", Mode.OBSERVE, earned),
    ]

    text = Page(site.ask("GET", f"/?lang={language}").text).text

    assert told in text
    assert text.count("selfheal trust promote") == 1
    assert "selfheal trust promote restart_leaking_worker --why" in text


def test_a_quiet_host_is_told_so(site: Site) -> None:
    site.service.alerts, site.service.runs = (
        [ALERT | {"status": "resolved", "closed_at": "2026-01-01T00:01:00.000Z"}],
        [],
    )

    page = Page(site.ask("GET", "/?lang=en").text)

    assert "Nothing is known to be wrong." in page.text
    assert "Nothing has been decided yet." in page.text


def test_an_alert_that_ended_while_its_remediation_has_not_is_no_quiet(site: Site) -> None:
    site.service.alerts = []
    site.service.state = {"counts": {"succeeded": 3, "verifying": 1, "unknown": 1, "watching": 1}}

    text = Page(site.ask("GET", "/?lang=en").text).text

    assert "No alert is on, but remediations are not over: 2" in text
    assert "Nothing is known to be wrong." not in text


def test_the_heartbeat_that_always_fires_is_nothing_wrong(site: Site) -> None:
    site.service.alerts = [ALERT | {"alertname": "Watchdog", "labels": {"alertname": "Watchdog", "severity": "none"}}]

    page = Page(site.ask("GET", "/?lang=en").text)

    assert "Nothing is known to be wrong." in page.text
    assert "Watchdog" not in page.text


@pytest.mark.parametrize(
    ("healthy", "value", "why", "expected"),
    [
        (True, "false", "proven", ["Healthyyes", "the condition is gone"]),
        (False, "true", "still_true", ["Healthyno", "condition still holds"]),
        (False, "unknown", "too_few_samples", ["Healthynot known", "too few samples since the action"]),
    ],
    ids=["proven", "sick", "unknown"],
)
def test_a_proof_is_told_in_words_with_its_questions(
    site: Site, healthy: bool, value: str, why: str, expected: list[str]
) -> None:
    reading = {"query": 'up{job="<i>"} == 0', "answer": "0 series"}
    judged = {"value": value, "why": why, "newest": None, "readings": [reading]}
    times = {"end": 1_767_225_600.0, "last_sample": 1_767_225_604.2}
    body = {"healthy": healthy, "alive": True, "gone": False, "why": why, "rule": judged} | times
    site.service.details[7] = DETAIL | {"evidence": [{"at": None, "phase": "after", "body": body}]}

    page = Page(site.ask("GET", "/runs/7?lang=en").text)

    for text in (*expected, "after the action", "2026-01-01 00:00:04 UTC", 'up{job="<i>"} == 0', "0 series"):
        assert text in page.text
    assert "Alive" not in page.text  # the playbook asked for no sign of life
    assert page.named("i") == []


def test_the_history_has_words_for_moves_and_for_steps(site: Site) -> None:
    event = {"at": None, "kind": "step", "from": None, "to": "intent", "reason": None, "detail": {}}
    site.service.details[7] = DETAIL | {"events": [event, event | {"from": "intent", "to": "done"}]}

    cells = Page(site.ask("GET", "/runs/7?lang=en").text).text.split("History")[1]

    assert "begun" in cells
    assert "intent" not in cells


def test_on_a_narrow_screen_every_cell_says_what_it_is(site: Site) -> None:
    for path in ("/?lang=en", "/runs/7?lang=en"):
        page = Page(site.ask("GET", path).text)

        assert page.named("td")
        assert all(cell.get("data-label") and cell.get("role") == "cell" for cell in page.named("td"))
        assert {table.get("role") for table in page.named("table")} == {"table"}


def test_pause_and_blindness_stand_at_the_top(site: Site) -> None:
    until = "2026-01-01T02:00:00.000Z"
    site.service.state = {
        "paused": {"who": "kim", "why": "migration", "until": until, "hard": True},
        "blind": ["prometheus"],
    }

    text = Page(site.ask("GET", "/?lang=en").text).text

    assert text.index("By kim: migration.") < text.index("Wrong now")
    assert "2026-01-01 02:00:00 UTC" in text
    assert "no usable answer from prometheus" in text


def test_one_remediation_is_told_whole(site: Site) -> None:
    page = Page(site.ask("GET", "/runs/7?lang=en").text)

    for expected in (
        "cooldown",
        "holds",
        "process 4242 of worker",
        "file /var/tmp/x",
        "process.terminate",
        '"value": 1',
    ):
        assert expected in page.text


def test_a_remediation_that_is_not_there_is_a_404(site: Site) -> None:
    assert site.ask("GET", "/runs/8").status == 404


@pytest.mark.parametrize(
    ("query", "header", "language"),
    [
        ("?lang=ko", "en", "ko"),
        ("?lang=en", "ko", "en"),
        ("", "ko-KR,ko;q=0.9,en;q=0.5", "ko"),
        ("", "de", "en"),
        ("?lang=xx", "ko", "ko"),
        ("?lang=%3Cscript%3E", "", "en"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/runs/7"])
def test_the_language_is_the_asked_one_else_the_browsers(
    site: Site, path: str, query: str, header: str, language: str
) -> None:
    answer = site.ask("GET", path + query, Accept_Language=header)

    page = Page(answer.text)
    assert page.named("html") == [{"lang": language}]
    assert answer.headers["content-language"] == language
    assert ("플레이북" in page.text) is (language == "ko")


def test_hostile_text_is_text(site: Site) -> None:
    evil_labels = {"alertname": EVIL, "instance": EVIL}
    site.service.alerts = [ALERT | {"alertname": EVIL, "labels": evil_labels, "fate": EVIL, "reason": EVIL}]
    site.service.runs = [RUN | {"target": EVIL, "playbook": EVIL, "state": EVIL}]
    site.service.state = {"paused": {"who": EVIL, "why": EVIL, "until": None, "hard": False}, "blind": [EVIL]}
    site.service.details[7] = DETAIL | {
        "target": EVIL,
        "alert": RUN["alert"] | {"alertname": EVIL, "labels": evil_labels},
        "evidence": [{"at": None, "phase": EVIL, "body": {EVIL: EVIL}}],
        "steps": [DETAIL["steps"][0] | {"plan": {"items": [{"kind": "file", "path": EVIL}]}, "outcome": None}],
    }

    for path in ("/?lang=ko", "/runs/7?lang=en"):
        page = Page(site.ask("GET", path).text)
        assert page.named("script") == []
        assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
        assert "<script>alert(1)</script>" in page.text
        assert "{{ 7*7 }}" in page.text


def test_the_page_needs_nothing_from_elsewhere_and_allows_no_script(site: Site) -> None:
    answer = site.ask("GET", "/")

    page = Page(answer.text)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self';")
    assert "unsafe" not in policy
    links = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("href", "src")]
    assert [link for link in links if link and not link.startswith(("/", "?", "#"))] == []
    assert not [attributes for _, attributes in page.tags if "style" in attributes]
    assert site.ask("GET", "/style.css").headers["content-type"].startswith("text/css")


def test_it_refreshes_by_itself_and_can_be_kept_still(site: Site) -> None:
    moving, still = Page(site.ask("GET", "/?lang=en").text), Page(site.ask("GET", "/?lang=en&refresh=0").text)

    assert {"http-equiv": "refresh", "content": "5"} in moving.named("meta")
    assert [meta for meta in still.named("meta") if "http-equiv" in meta] == []
    assert {"href": "/runs/7?lang=en&refresh=0"} in still.named("a")


def test_keyboard_and_screen_reader_find_their_way(site: Site) -> None:
    for path in ("/", "/runs/7"):
        page = Page(site.ask("GET", path).text)
        assert page.named("a")[0] == {"class": "skip", "href": "#main"}
        assert len(page.named("main")) == len(page.named("h1")) == 1
        assert all(cell.get("scope") in ("col", "row") for cell in page.named("th"))
        assert page.named("nav")[0]["aria-label"]


def test_every_state_has_a_style_and_words(site: Site) -> None:
    site.service.runs = [RUN | {"id": str(number), "state": state.value} for number, state in enumerate(ENDS | LIVE)]

    page = Page(site.ask("GET", "/?lang=en").text)

    marks = {"good", "bad", "busy", "calm"}
    assert len([part for part in page.named("span") if part.get("class") in marks]) == len(ENDS | LIVE)
    assert set(State) - {State.WATCHING} == ENDS | LIVE


def test_long_evidence_is_cut_on_the_page_only(site: Site) -> None:
    site.service.details[7] = DETAIL | {"evidence": [{"at": None, "phase": "after", "body": {"x": "y" * 50_000}}]}

    text = site.ask("GET", "/runs/7").text

    assert len(re.findall("y{100}", text)) < 100
    assert len(json.dumps(site.ask("GET", "/api/v1/remediations/7").json())) > 50_000


def test_only_the_last_of_many_decisions_is_shown(site: Site) -> None:
    earlier = [each | {"at": f"2026-01-01T00:00:0{second}.000Z"} for second in range(5) for each in DETAIL["decisions"]]
    site.service.details[7] = DETAIL | {"decisions": earlier}

    text = Page(site.ask("GET", "/runs/7?lang=en").text).text

    assert "Earlier decisions: 4" in text
    assert text.count("holds") == 1


@pytest.mark.parametrize("path", ["/", "/runs/7"])
def test_a_page_under_a_foreign_name_is_not_shown_to_this_machines_browser(
    site: Site, guarded: Site, path: str
) -> None:
    # another site can make a name of its own point to 127.0.0.1, and would then be allowed to read the answer
    foreign = [each.ask("GET", path, Host="evil.example:9977").status for each in (site, guarded)]
    named = guarded.ask("GET", path, Host="web-1:9977", Authorization=f"Bearer {API_TOKEN}").status
    own = [site.ask("GET", path, Host=host).status for host in ("localhost:9977", "[::1]:9977", "127.0.0.1")]

    assert (foreign, named, own) == ([403, 403], 200, [200, 200, 200])


def test_what_an_observed_remediation_would_have_touched_is_shown(site: Site) -> None:
    items = [{"kind": "file", "path": "/var/tmp/a"}, {"kind": "process", "pid": 4242, "group": "worker"}]
    moved = {"at": None, "kind": "moved", "from": "pending", "to": "observed", "reason": "observe_mode"}
    event = moved | {"detail": {"answer": "allow", "reason": "allowed", "items": items, "count": 9}}
    site.service.details[7] = DETAIL | {"state": "observed", "steps": [], "events": [event]}

    text = Page(site.ask("GET", "/runs/7?lang=en").text).text

    for expected in ("What would be touched", "file /var/tmp/a", "process 4242 of worker", "and 7 more"):
        assert expected in text


def test_a_guards_answer_names_what_holds_it_until_when_and_an_approval_who_gave_it(site: Site) -> None:
    held = {"at": "2026-01-01T00:00:00Z", "guard": "window", "answer": "hold", "reason": "window", "until": None}
    decision = held | {"detail": {"window": "nightly", "why": "", "hard": None, "until": 1_767_225_600.0}}
    approved = {"at": None, "kind": "approval", "from": "open", "to": "granted", "reason": None}
    event = approved | {"detail": {"approval": 3, "who": "<b>kim</b>"}}
    site.service.details[7] = DETAIL | {"decisions": [decision], "events": [event]}

    page = Page(site.ask("GET", "/runs/7?lang=ko").text)

    assert "유지보수 시간대: nightly, 기한: 2026-01-01 00:00:00 UTC" in page.text
    assert "1767225600" not in page.text
    assert "None" not in page.text
    assert "<b>kim</b>" in page.text
    assert page.named("b") == []


def test_two_alerts_of_one_rule_and_instance_are_told_apart(site: Site) -> None:
    labels = ALERT["labels"] | {"directory": "/srv/a", "severity": "warning", "job": "exporter"}
    site.service.alerts = [ALERT | {"labels": labels}, ALERT | {"labels": labels | {"directory": "/srv/b"}}]

    text = Page(site.ask("GET", "/?lang=en").text).text

    assert "web-1 directory=/srv/a" in text
    assert "web-1 directory=/srv/b" in text
    assert "severity=" not in text


def test_a_circuit_breaker_that_is_not_closed_is_named(site: Site) -> None:
    assert "Circuit breakers" not in Page(site.ask("GET", "/?lang=en").text).text

    site.service.state = {"breakers": [{"name": "restart_worker", "state": "open"}]}

    assert "Circuit breakers that are not closed: restart_worker" in Page(site.ask("GET", "/?lang=en").text).text
