"""Answers no Prometheus should give, from a server that gives them: each is no evidence, and none is a traceback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from remediator.client import Client
from remediator.errors import SourceUnavailable
from remediator.evidence import Evidence, FrozenRule, quantities
from remediator.evidence.prometheus import Prometheus
from remediator.evidence.samples import MOST_POINTS
from remediator.model import Verify
from selfheal.common.clock import SystemClock
from selfheal.common.durations import parse_duration

VECTOR = {"resultType": "vector", "result": [{"metric": {"a": "b"}, "value": [1, "2"]}]}
RULE = FrozenRule("Sick", "g", "x > 5", {}, 1.0, 0.0)


class Liar:
    """Answers every path with what was put there, else with `rest`."""

    def __init__(self) -> None:
        self.rest: tuple[int, str] = (200, "")
        self.paths: dict[str, tuple[int, str]] = {}
        self.on_ask: Callable[[str], None] = lambda _path: None
        """Called with the path of each question before it is answered."""
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                liar.on_ask(self.path)
                status, body = liar.paths.get(self.path.partition("?")[0], liar.rest)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def liar() -> Iterator[Liar]:
    made = Liar()
    yield made
    made.close()


def answer(data: Any = VECTOR, **more: Any) -> str:
    return json.dumps({"status": "success", "data": data, **more})


ODD = {
    "not found": (404, answer()),
    "an error with a good body": (503, answer()),
    "an error in a good status": (200, json.dumps({"status": "error", "errorType": "timeout", "error": "late"})),
    "an error that has data": (200, answer()[:-1].replace("success", "error") + "}"),
    "no data": (200, json.dumps({"status": "success"})),
    "data of another kind": (200, answer([])),
    "no result": (200, answer({"resultType": "vector"})),
    "warnings": (200, answer(warnings=["a store is away"])),
    "a matrix": (200, answer({"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "2"]]}]})),
    "a text": (200, answer({"resultType": "string", "result": [1, "x"]})),
    "an element that is none": (200, answer({"resultType": "vector", "result": ["x"]})),
    "an element without value": (200, answer({"resultType": "vector", "result": [{"metric": {}}]})),
    "cut off": (200, answer()[:-9]),
    "a list": (200, "[]"),
    "nothing": (200, ""),
    "a page": (200, "<html>"),
}
ODD_VALUES = {
    "a histogram": {"metric": {}, "histogram": [1, {"count": "2"}]},
    "no labels": {"value": [1, "2"]},
    "labels of another kind": {"metric": [], "value": [1, "2"]},
    "a value that is none": {"metric": {}, "value": [1, "two"]},
    "a value alone": {"metric": {}, "value": [1]},
    "a value of another kind": {"metric": {}, "value": 2},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
def test_an_odd_answer_is_no_evidence(liar: Liar, odd: tuple[int, str]) -> None:
    liar.rest = odd
    prometheus = Prometheus(Client(liar.url))

    for ask in (
        prometheus.now,
        lambda: prometheus.query("x"),
        lambda: prometheus.keys("x", frozenset()),
        prometheus.rule_groups,
    ):
        with pytest.raises(SourceUnavailable):
            ask()


@pytest.mark.parametrize("odd", ODD_VALUES.values(), ids=list(ODD_VALUES))
def test_an_odd_value_is_no_evidence(liar: Liar, odd: Any) -> None:
    liar.rest = (200, answer({"resultType": "vector", "result": [*VECTOR["result"], odd]}))

    with pytest.raises(SourceUnavailable):
        Prometheus(Client(liar.url)).query("x")


@pytest.mark.parametrize("result", [None, [], [1], [1, "x"], [1, None], 5])
def test_an_odd_time_is_no_evidence(liar: Liar, result: Any) -> None:
    liar.rest = (200, answer({"resultType": "scalar", "result": result}))

    with pytest.raises(SourceUnavailable):
        Prometheus(Client(liar.url)).now()


def test_half_a_character_cannot_be_asked_for(liar: Liar) -> None:
    liar.rest = (200, answer())

    with pytest.raises(SourceUnavailable, match="half a character"):
        Prometheus(Client(liar.url)).query('x{a="\ud800"}')


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
def test_with_odd_answers_an_alert_is_neither_firing_nor_healthy(liar: Liar, odd: tuple[int, str]) -> None:
    liar.rest = odd
    failed: list[str] = []
    evidence = Evidence(
        Client(liar.url), [Client(liar.url, source="alertmanager")], SystemClock(), failed=failed.append
    )
    stored = {"labels": {"instance": "i"}, "rule": {"seen": {'x{instance="i"}': [{"instance": "i"}]}, "too_many": []}}

    live = evidence.live(RULE, {"alertname": "Sick", "instance": "i"}, "0", 0.0)
    health = evidence.health(RULE, {}, Verify(), stored, 1000.0, 1010.0)

    assert (live.firing, live.active) == (None, None)
    assert "prometheus" in live.blind
    assert "prometheus" in failed
    assert (health.healthy, health.why) == (False, "unavailable")


@pytest.mark.parametrize(("status", "told"), [(404, True), (403, True), (500, False), (429, False), (200, False)])
def test_only_a_page_that_is_not_there_means_no_external_labels(liar: Liar, status: int, told: bool) -> None:
    liar.rest = (status, "<html>")
    prometheus = Prometheus(Client(liar.url))

    if told:
        assert (prometheus.external_labels(), prometheus.started()) == (frozenset(), None)
    for ask in () if told else (prometheus.external_labels, prometheus.started):
        with pytest.raises(SourceUnavailable):
            ask()


@pytest.mark.parametrize(
    ("said", "started"),
    [
        ("2026-01-01T00:00:00.5Z", 1767225600.5),
        ("2026-01-01T02:00:00+02:00", 1767225600.0),
        ("soon", None),
        (None, None),
    ],
)
def test_the_time_of_the_start_is_read_as_it_is_told(liar: Liar, said: Any, started: float | None) -> None:
    liar.rest = (200, answer({"startTime": said}))

    assert Prometheus(Client(liar.url)).started() == started


ODD_COURSES = {
    "a vector": VECTOR,
    "no result": {"resultType": "matrix"},
    "a text": {"resultType": "matrix", "result": ["x"]},
    "no labels": {"resultType": "matrix", "result": [{"values": [[1, "2"]]}]},
    "no number": {"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "two"]]}]},
    "no pair": {"resultType": "matrix", "result": [{"metric": {}, "values": [[1]]}]},
}


@pytest.mark.parametrize("data", ODD_COURSES.values(), ids=list(ODD_COURSES))
def test_an_odd_course_is_no_evidence(liar: Liar, data: Any) -> None:
    liar.rest = (200, answer(data))

    with pytest.raises(SourceUnavailable):
        Prometheus(Client(liar.url)).course("x", 1.0, 2.0, 1000)


def test_a_course_holds_finite_values_only(liar: Liar) -> None:
    values = [[1, "2"], [2, "NaN"], [3, "+Inf"], [4.5, "-3"]]
    liar.rest = (200, answer({"resultType": "matrix", "result": [{"metric": {"a": "b"}, "values": values}]}))

    (found,) = Prometheus(Client(liar.url)).course("x", 1.0, 4.5, 500)

    assert (dict(found.labels), found.points) == ({"a": "b"}, ((1.0, 2.0), (4.5, -3.0)))


@pytest.mark.parametrize("interval", [0.2, 1.0, 15.0, 60.0, 3600.0])
@pytest.mark.parametrize("watched", [0.5, 4.0, 2700.0, 86_400.0])
def test_no_more_points_are_asked_for_than_are_kept(liar: Liar, interval: float, watched: float) -> None:
    asked: list[dict[str, str]] = []
    liar.rest = (200, answer({"resultType": "matrix", "result": []}))
    liar.on_ask = lambda path: asked.append(dict(parse_qsl(urlsplit(path).query)))
    evidence = Evidence(Client(liar.url), [], SystemClock())

    wanted = quantities(RULE, None, {}, {})
    evidence.before(wanted, 1e9, interval)
    evidence.since(wanted, (1e9, 1e9 + watched), interval)

    before, since = asked
    assert float(before["end"]) == 1e9
    assert float(since["end"]) == 1e9 + watched
    assert float(since["start"]) >= 1e9
    for question in asked:
        steps = (float(question["end"]) - float(question["start"])) / parse_duration(question["step"])
        assert steps == pytest.approx(round(steps), abs=1e-3)
        assert steps < MOST_POINTS
        assert parse_duration(question["step"]) >= interval


def test_a_prometheus_that_does_not_answer_leaves_the_past_unknown(liar: Liar) -> None:
    liar.rest = (503, "")

    assert Evidence(Client(liar.url), [], SystemClock()).before(quantities(RULE, None, {}, {}), 1e9, 1.0) is None
