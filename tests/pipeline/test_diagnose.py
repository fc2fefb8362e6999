"""`diagnose:`: probes run before the first effect, when observing, holding and handing over; bounded, and kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rig import until
from remediator import pause
from remediator.diagnose import LARGEST, LARGEST_TOGETHER, MOST_AT_ONCE
from remediator.errors import ActionFailed, Refused
from remediator.model import Argument, ArgumentType, Context, Json, Pause
from remediator.playbooks.loader import load_playbook
from remediator.probes import PROBES
from selfheal.common.problems import ConfigError
from tests.pipeline.sources import Act, Bench, Sources, alert, playbook

ONE = "{action: test.act}"


@dataclass
class Look:
    """A probe of a test."""

    name: str = "test.look"
    arguments: Mapping[str, Argument] = field(default_factory=lambda: {"what": Argument(ArgumentType.TEXT)})
    seen: list[Mapping[str, Any]] = field(default_factory=list)
    while_looking: Callable[[], Any] = lambda: {"answer": 42}

    def run(self, arguments: Mapping[str, Any], _context: Context) -> Json:
        """Look."""
        self.seen.append(arguments)
        found: Json = self.while_looking()
        return found


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Look:
    made = Look()
    monkeypatch.setitem(PROBES, made.name, made)
    return made


@pytest.fixture
def sources(sources: Sources) -> Sources:
    sources.firing = sources.listed = [alert()]
    return sources


def book(mode: str = "auto", timeout: str = "5s", attempts: int = 3, probes: int = 1) -> str:
    each = f'{{probe: test.look, with: {{what: "item {{{{ $labels.item }}}}"}}, timeout: {timeout}}}'
    limits = f"cooldown: 0s, rate: [1000/1h], attempts: {attempts}"
    rest = f"mode: {mode}\nverify: none\ndiagnose: [{', '.join([each] * probes)}]\n"
    return playbook(ONE, rest, limits)


def kept(bench: Bench) -> list[dict[str, Any]]:
    return [entry["body"] for entry in bench.detail()["evidence"] if entry["phase"] == "diagnose"]


def occasions(bench: Bench) -> list[str]:
    return [body["occasion"] for body in kept(bench)]


def test_probes_run_before_the_first_effect_and_what_they_saw_is_kept(bench: Bench, look: Look, act: Act) -> None:
    effects_then: list[int] = []
    look.while_looking = lambda: effects_then.append(len(act.ran)) or {"answer": 42}  # type: ignore[func-returns-value]
    bench.start(book())
    bench.deliver(alert())

    assert effects_then == [0]
    assert act.verbs() != []
    assert occasions(bench) == ["before"]
    (probe,) = kept(bench)[0]["probes"]
    assert (probe["probe"], probe["arguments"], probe["found"]) == (
        "test.look", {"what": "item a"}, {"answer": 42},
    )  # fmt: skip


def test_after_the_probes_it_is_asked_again_whether_it_is_still_needed(
    bench: Bench, sources: Sources, look: Look, act: Act
) -> None:
    def heal() -> Json:
        sources.firing = sources.listed = []
        bench.clock.advance(0.1)
        return {}

    look.while_looking = heal
    # taken in at the start, for Alertmanager lists it
    bench.start(book())

    assert bench.states() == [("skipped", "self_resolved")]
    assert act.ran == []
    assert occasions(bench) == ["before"]


def test_no_answer_from_before_the_probes_is_used_after_them(bench: Bench, sources: Sources, look: Look) -> None:
    asked: list[str] = []

    def long() -> Json:
        # shorter than the second for which an answer is shared otherwise
        bench.clock.advance(0.1)
        asked.clear()
        return {}

    look.while_looking, sources.on_ask = long, asked.append
    # an Alertmanager that does not have the alert has its silences, which are shared
    sources.listed = []
    bench.start(book())
    bench.deliver(alert())

    assert "/api/v2/silences" in asked


def test_a_pause_that_comes_while_probes_run_keeps_the_effect_back(bench: Bench, look: Look, act: Act) -> None:
    look.while_looking = lambda: pausing(bench) and {}
    bench.start(book())
    bench.deliver(alert())

    assert bench.states() == [("held", "paused")]
    assert act.ran == []
    # it was looked just now: the hold is no reason to look again
    assert occasions(bench) == ["before"]


def pausing(bench: Bench) -> Path:
    path = bench.folder / "state" / pause.NAME
    pause.write(path, Pause("kim", "a test", None))
    return path


def test_in_observe_it_is_looked_too(bench: Bench, look: Look) -> None:
    bench.start(book("observe"))
    bench.deliver(alert())

    assert bench.states() == [("observed", "observe_mode")]
    assert occasions(bench) == ["observe"]


def test_a_hold_is_looked_at_once_however_often_it_is_asked_about(bench: Bench, look: Look) -> None:
    (bench.folder / "state").mkdir(mode=0o700)
    path = pausing(bench)
    bench.start(book())
    bench.deliver(alert())
    for _ in range(4):
        bench.advance(6)
    assert occasions(bench) == ["hold"]

    pause.clear(path)
    bench.advance(6)
    assert occasions(bench) == ["hold", "before"]


def test_people_who_are_asked_find_what_it_looks_like_then(bench: Bench, look: Look, act: Act) -> None:
    act.while_running = fail
    bench.start(book(attempts=1))
    bench.deliver(alert())
    bench.advance(31)

    assert bench.alerts()[0]["fate"] == "handed_over"
    assert occasions(bench) == ["before", "hand_over"]


def fail() -> None:
    raise ActionFailed("it did not work")


def test_no_writer_waits_for_a_probe(bench: Bench, look: Look) -> None:
    written: list[bool] = []

    def write() -> Json:
        assert bench.app is not None
        # would not return in time if the probe ran inside of the writer's transaction
        bench.app.store.write(lambda tx: tx.schedule("reconcile", 0, bench.clock.now() + 100))
        written.append(True)
        return {}

    look.while_looking = write
    bench.start(book())
    bench.deliver(alert())

    assert written == [True]
    assert kept(bench)[0]["probes"][0]["found"] == {}


# What goes wrong with a probe is a finding, and never keeps the repair back.

FAULTS: dict[str, tuple[Callable[[], Any], str]] = {
    "refused": (lambda: raised(Refused("not on this host")), "not on this host"),
    "not there": (lambda: raised(OSError("no such thing")), "test.look on h1: no such thing"),
    "broken": (lambda: raised(KeyError("x")), "KeyError"),
    "no JSON": (lambda: {"found": {1, 2}}, "what it found is no JSON"),
    "not a number": (lambda: {"found": float("nan")}, "what it found is no JSON"),
}


def raised(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(("fault", "problem"), FAULTS.values(), ids=FAULTS)
def test_a_probe_that_fails_says_why_and_the_repair_goes_on(
    bench: Bench, look: Look, act: Act, fault: Callable[[], Any], problem: str
) -> None:
    look.while_looking = fault
    bench.start(book())
    bench.deliver(alert())

    assert kept(bench)[0]["probes"][0]["problem"] == problem
    assert len(act.ran) == 1


def test_a_probe_that_does_not_end_is_left_behind_at_its_deadline(bench: Bench, look: Look, act: Act) -> None:
    released = threading.Event()
    look.while_looking = lambda: released.wait(30) and {}
    app = bench.start(book(timeout="50ms"))
    bench.deliver(alert())

    assert kept(bench)[0]["probes"][0]["problem"] == "did not end within 0.05 s"
    assert len(act.ran) == 1
    assert len(app.parts.probing) == 1
    released.set()
    until(lambda: not any(thread.is_alive() for thread in app.parts.probing))


def test_many_that_hang_keep_what_begins_nothing_from_looking_too(bench: Bench, look: Look) -> None:
    released = threading.Event()
    look.while_looking = lambda: released.wait(30) and {}
    bench.start(book("observe", timeout="20ms", probes=MOST_AT_ONCE + 1))
    bench.deliver(alert())
    released.set()

    problems = [probe["problem"] for probe in kept(bench)[0]["probes"]]
    assert problems == ["did not end within 0.02 s"] * MOST_AT_ONCE + ["too many probes are running"]


@pytest.mark.parametrize(("spare", "cut"), [(200, False), (-1, True)])
def test_what_is_kept_of_one_probe_is_bounded(bench: Bench, look: Look, spare: int, cut: bool) -> None:
    look.while_looking = lambda: {"text": "x" * (LARGEST - spare)}
    bench.start(book())
    bench.deliver(alert())

    (probe,) = kept(bench)[0]["probes"]
    assert ("cut" in probe) is cut
    assert len(probe.get("cut", "")) <= LARGEST


def test_what_is_kept_of_all_probes_is_bounded_together(bench: Bench, look: Look) -> None:
    look.while_looking = lambda: {"text": "x" * LARGEST}
    bench.start(book(probes=10))
    bench.deliver(alert())

    probes = kept(bench)[0]["probes"]
    assert len(probes) == 10
    assert sum(len(probe["cut"]) for probe in probes) == LARGEST_TOGETHER


def test_a_real_probe_sees_this_host(bench: Bench, act: Act) -> None:
    bench.start(playbook(ONE, "mode: auto\nverify: none\ndiagnose: [{probe: process.top, with: {count: 3}}]\n"))
    bench.deliver(alert())

    assert len(act.ran) == 1
    assert len(kept(bench)[0]["probes"][0]["found"]["processes"]) == 3


# What may be written.


def test_probes_and_arguments_that_do_not_exist_are_found_when_the_file_is_loaded(tmp_path: Path, look: Look) -> None:
    path = tmp_path / "one.yml"
    path.write_text(
        playbook(
            "{action: service.restart, with: {service: web}}",
            "verify: none\ndiagnose:\n  - {probe: test.none}\n  - {probe: test.look, with: {how: now}}\n"
            "  - {probe: test.look, timeout: 2m}\n",
        ),
        "utf-8",
    )

    with pytest.raises(ConfigError) as caught:
        load_playbook(path)

    known = ", ".join(sorted(PROBES))
    assert [str(problem) for problem in caught.value.problems] == [
        f"{path}: diagnose[2].timeout: must be longer than 0s and at most 1m; write for example 10s",
        f"{path}: diagnose[0].probe: 'test.none' is no probe; known are {known}",
        f"{path}: diagnose[1].with.how: unknown argument; test.look knows what",
    ]
