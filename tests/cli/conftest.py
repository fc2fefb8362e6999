"""A state folder as `selfheal up` makes it, with a real store that has a story to tell, and its API when wanted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from remediator import address
from remediator.model import (
    Alert,
    Answer,
    Effect,
    Frozen,
    FrozenStep,
    GuardAnswer,
    Limits,
    Mode,
    Outcome,
    Plan,
    Reason,
    State,
    StepState,
    Target,
    Verdict,
    Verify,
)
from remediator.store import Reader, Store, Tx
from remediator.web import Access, Metrics, WebServer, make_app
from selfheal.cli import main
from selfheal.common.clock import ManualClock
from selfheal.common.secrets import Secret
from tests.web.site import API_TOKEN, FakeService

EVIL = "evil\x1b[31m\x07\u202ename"
NOW = 1_767_225_600.0


@dataclass
class Told:
    """What a command wrote and returned."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class StoreService(FakeService):
    """The API's service over a real store."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store

    def reader(self) -> AbstractContextManager[Reader]:  # type: ignore[override]
        return self.store.read()

    def status(self) -> dict[str, Any]:
        with self.store.read() as reader:
            return super().status() | {"counts": reader.counts()} | self.state


@dataclass
class Home:
    """A state folder of `selfheal up`, its remediator's own folder and the store in it."""

    state: Path
    own: Path
    config: Path
    store: Store
    say: Callable[..., Told]

    def selfheal(self, *words: str) -> Told:
        """Run `selfheal COMMAND --state … --lang en …` in this process."""
        flags = [] if any(word.startswith("--lang") for word in words) else ["--lang", "en"]
        return self.say(words[0], "--state", str(self.state), *flags, *words[1:])


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Told]:
    """Run the command line and return what it told."""
    for name in ("LANG", "LC_ALL", "LC_MESSAGES", "SELFHEAL_LANG", "SELFHEAL_STATE", "SELFHEAL_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> Told:
        capsys.readouterr()
        try:
            code = main(list(words))
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        told = capsys.readouterr()
        return Told(code, told.out, told.err)

    return run


@pytest.fixture
def home(tmp_path: Path, say: Callable[..., Told]) -> Iterator[Home]:
    """A folder whose store knows a healed leak, one that waits to be settled, and an unreadable alert."""
    state = tmp_path / "state"
    config = state / "config" / "remediator.yml"
    config.parent.mkdir(parents=True)
    token = config.parent / "api.token"
    token.write_text(API_TOKEN + "\n")
    token.chmod(0o600)
    own = state / "remediator"
    config.write_text(f"state: {own}\nhighest_mode: auto\napi: {{token_file: api.token}}\n")
    store = Store.open(own, ManualClock(NOW + 100))
    store.write(tell_story)
    yield Home(state, own, config, store, say)
    store.close()


@pytest.fixture
def served(home: Home, request: pytest.FixtureRequest) -> Iterator[StoreService]:
    """The remediator's API over that store, found by the address file; a test may ask for another kind of service."""
    service = getattr(request, "param", StoreService)(home.store)
    server = WebServer(
        ("127.0.0.1", 0), make_app(service, Access(api=(Secret(API_TOKEN),)), Metrics("1.2.3")), threads=4
    )
    server.start()
    address.write(home.own, server.url)
    yield service
    server.stop()


def make_alert(name: str, fingerprint: str, **labels: str) -> Alert:
    return Alert("firing", {"alertname": name, "instance": "web-1:9976"} | labels, {}, NOW, fingerprint)


def make_frozen(alert: Alert) -> Frozen:
    step = FrozenStep("process.terminate", 1, Effect.DESTRUCTIVE, True, {"group": "worker"}, 30.0)
    return Frozen(
        playbook="restart_leaking_worker",
        digest="0" * 64,
        mode=Mode.AUTO,
        target=Target("web-1", "process_group", "worker"),
        lock_key="web-1",
        labels=dict(alert.labels),
        starts_at=alert.starts_at,
        fingerprint=alert.fingerprint,
        generator_url="",
        limits=Limits(),
        host_rates=(),
        steps=(step,),
        verify=Verify(),
    )


def tell_story(tx: Tx) -> None:
    """Remediation 1 healed and ended; 2 is unknown; alert 3 was malformed; alert 4 fires without a playbook."""
    leak = make_alert("ProcessMemoryLeak", "aaaaaaaaaaaaaaaa")
    occurrence, _ = tx.open_occurrence(leak, NOW)
    healed = tx.add_remediation(occurrence, make_frozen(leak), NOW)
    answers = [
        GuardAnswer("pause", Answer.ALLOW, Reason.ALLOWED),
        GuardAnswer("cooldown", Answer.HOLD, Reason.COOLDOWN, {"target": "web-1/process_group:worker"}, NOW + 9),
    ]
    tx.add_decision(healed, answers, NOW)
    tx.add_decision(healed, [GuardAnswer("pause", Answer.ALLOW, Reason.ALLOWED)], NOW + 1)
    tx.move(healed, State.RUNNING, Reason.ALLOWED, NOW + 1)
    item = {"kind": "process", "pid": 4242, "start_ticks": 9, "group": "worker"}
    step = tx.store_intent(healed, 0, Plan((item,)), NOW + 1)
    tx.store_result(step, StepState.DONE, Outcome(True, (item,)), NOW + 2)
    tx.move(healed, State.VERIFYING, None, NOW + 2)
    tx.add_evidence(healed, "after", {"healthy": True}, NOW + 5)
    tx.move(healed, State.WATCHING, Reason.PROVEN, NOW + 5, verdict=Verdict.FIXED)
    tx.move(healed, State.SUCCEEDED, Reason.HELD_WATCH, NOW + 9, verdict=Verdict.FIXED)
    tx.close_occurrence(leak.fingerprint, NOW + 9, "resolved")
    down = make_alert("ServiceDown", "bbbbbbbbbbbbbbbb", service=EVIL)
    occurrence, _ = tx.open_occurrence(down, NOW + 20)
    unknown = tx.add_remediation(occurrence, make_frozen(down), NOW + 20)
    tx.move(unknown, State.RUNNING, Reason.ALLOWED, NOW + 21)
    tx.move(unknown, State.UNKNOWN, Reason.OUTCOME_UNKNOWN, NOW + 22)
    tx.add_malformed(NOW + 30, '{"labels": 5}', "labels must be an object")
    lonely = make_alert("DiskFilling", "cccccccccccccccc")
    occurrence, _ = tx.open_occurrence(lonely, NOW + 40)
    tx.set_fate(occurrence, "no_playbook", Reason.NO_PLAYBOOK)
