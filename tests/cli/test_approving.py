"""`approvals`, `approve`, `refuse` and `run` against a real program through its real API, and without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from remediator import address
from remediator.web import Access, Metrics, WebServer, make_app
from selfheal.common.clock import ManualClock
from tests.cli.conftest import EVIL, Told
from tests.pipeline.sources import Bench, Sources, alert, playbook
from tests.pipeline.test_approving import Steady

ASKS = "mode: approve\nverify: none\n"
BY_HAND = """playbook: by_hand
trigger: {manual: true}
mode: auto
target: {host: "{{ $labels.instance }}", item: "{{ $labels.item }}"}
steps: [{action: test.act}]
verify: none
"""


@dataclass
class Desk:
    """A running program with one open request, and the command line before it."""

    bench: Bench
    act: Steady
    server: WebServer
    say: Callable[..., Told]

    def selfheal(self, *words: str) -> Told:
        """Run `selfheal COMMAND --config.file … --lang en …` in this process."""
        flags = ["--config.file", str(self.bench.folder / "remediator.yml"), "--lang", "en"]
        told = self.say(words[0], *flags, *words[1:])
        if self.bench.app is not None:
            self.bench.rest()
        return told

    def close(self) -> None:
        """Stop the program, as when it was killed: its address stays."""
        self.server.stop()
        self.bench.stop()


@pytest.fixture
def desk(tmp_path: Path, clock: ManualClock, say: Callable[..., Told]) -> Iterator[Desk]:
    sources, act = Sources(clock), Steady()
    bench = Bench(tmp_path, sources, clock, act)
    bench.careful += "\napproval: {url: 'https://selfheal.example'}"
    sources.firing = sources.listed = [alert(zone=EVIL)]
    app = bench.start(playbook("{action: test.act}", ASKS), BY_HAND)
    server = WebServer(("127.0.0.1", 0), make_app(app, Access(), Metrics("1")), threads=4)
    server.start()
    address.write(app.config.state, server.url)
    made = Desk(bench, act, server, say)
    yield made
    made.close()
    sources.close()


def test_approvals_tells_what_waits_and_for_exactly_what(desk: Desk) -> None:
    told = desk.selfheal("approvals")

    assert told.code == 0
    for expected in ("Request 1", "heal → h1/item:a", "waits for an answer", "2023-11-14 22:43:20 UTC", "a test"):
        assert expected in told.out
    assert "https://selfheal.example/approve/1." in told.out
    found = desk.selfheal("approvals", "--json").json()
    assert found["source"] == "api"
    assert found["items"][0]["alert"]["labels"]["zone"] == EVIL
    assert "\x1b" not in told.out


def test_what_a_plan_leaves_out_is_shown_to_whoever_is_asked_and_to_whoever_only_tries(desk: Desk) -> None:
    left_out = {"files": [{"path": f"a{EVIL}", "class": "secret", "why": "is a key"}], "classes": {"secret": 1}}
    desk.act.detail = {"left_out": left_out, "checked": {"output": "would write 3"}}
    desk.act.things = ["another"]
    # a yes to a plan that is another by now brings the next request
    desk.selfheal("approve", "1", "--who", "kim")
    for told in (
        desk.selfheal("run", "by_hand", "--label", "item=b", "--dry-run"),
        desk.selfheal("approvals"),
    ):
        assert "(secret: is a key)" in told.out
        assert "would write 3" in told.out
        assert "\x1b" not in told.out


def test_approve_says_yes_once_and_to_what_was_shown(desk: Desk) -> None:
    first = desk.selfheal("approve", "1", "--who", "kim")
    second = desk.selfheal("approve", "1", "--who", "lee")

    assert (first.code, second.code) == (0, 1)
    assert "Request 1" in first.out
    assert "approved" in first.out
    assert "request 1 is granted already by kim" in second.err
    assert len(desk.act.ran) == 1
    assert desk.selfheal("approvals").out == "Nothing waits for an answer.\n"
    assert "approved and begun" in desk.selfheal("approvals", "--all").out


def test_refuse_says_no_and_why(desk: Desk) -> None:
    wordless = desk.selfheal("refuse", "1")
    told = desk.selfheal("refuse", "1", "--why", "the backup runs", "--who", "kim")

    assert (wordless.code, told.code) == (2, 0)
    assert "say why not: --why TEXT" in wordless.err
    assert "kim – the backup runs" in told.out
    assert desk.bench.states() == [("cancelled", "approval_refused")]


@pytest.mark.parametrize("words", [("approve", "99"), ("refuse", "99", "--why", "x"), ("approve", "x/../1")])
def test_a_request_that_is_not_there_is_told(desk: Desk, words: tuple[str, ...]) -> None:
    told = desk.selfheal(*words)

    assert told.code == 1
    assert f"there is no request {words[1]}" in told.err


def test_run_runs_and_a_dry_run_only_tells(desk: Desk) -> None:
    tried = desk.selfheal("run", "by_hand", "--label", "item=b", "--dry-run")
    before = len(desk.act.ran)
    told = desk.selfheal("run", "by_hand", "--label", "item=b", "--who", "kim")

    assert (tried.code, told.code, before) == (0, 0, 0)
    assert "by_hand → h1/item:b: allows" in tried.out
    for expected in ("What the guards said", "maintenance window", "approval", "What would be touched", "a test"):
        assert expected in tried.out
    assert "Remediation 2" in told.out
    assert len(desk.act.ran) == 1
    found = desk.selfheal("run", "by_hand", "--label", "item=b", "--dry-run", "--json").json()
    assert found["dry_run"]["mode"] == "auto"


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (("run", "nobody"), 1, "there is no playbook nobody"),
        (("run", "by_hand"), 1, "give it with --label"),
        (("run", "by_hand", "--label", "item"), 2, "NAME=VALUE"),
    ],
)
def test_run_says_what_is_missing(desk: Desk, words: tuple[str, ...], code: int, what: str) -> None:
    told = desk.selfheal(*words)

    assert (told.code, what in told.err) == (code, True), told.err


def test_without_the_program_requests_are_read_and_nothing_is_answered(desk: Desk) -> None:
    desk.close()

    listed = desk.selfheal("approvals")
    answered = desk.selfheal("approve", "1")

    assert listed.code == 0
    assert "this is what its store in" in listed.out
    assert "heal → h1/item:a" in listed.out
    assert "https://" not in listed.out
    assert answered.code == 3
    assert "no running remediator answers" in answered.err
