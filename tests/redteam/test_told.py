"""What a door refuses is counted and recorded by the real program, whichever way the attempt came."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.rig import free_port
from remediator.app import App
from remediator.errors import Refused, StoreUnavailable
from remediator.reading import read


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """Return a remediator as built for one host, whose policy permits next to nothing; it is not started."""
    (tmp_path / "policy.yml").write_text('urls: {"http://127.0.0.1:1/": {}}\n')
    (tmp_path / "policy.yml").chmod(0o600)
    (tmp_path / "remediator.yml").write_text(
        f"state: state\nprometheus: {{url: 'http://127.0.0.1:{free_port()}'}}\npolicy: policy.yml\n"
        "hosts: {here: {instances: [here]}}\n"
    )
    made = App(lambda: read(tmp_path / "remediator.yml", "127.0.0.1:0"))
    yield made
    made.stop()


def counted(app: App, door: str) -> float:
    """Return how many refusals of a door the metrics show."""
    line = next(
        line
        for line in app.metrics.render().decode().splitlines()
        if line.startswith(f'selfheal_remediator_refused_total{{door="{door}"}}')
    )
    return float(line.split()[-1])


@pytest.mark.parametrize(
    ("door", "action", "arguments"),
    [
        ("signals", "process.terminate", {"group": "worker", "over_rss": "1MiB"}),
        ("shell", "service.restart", {"service": "web"}),
        ("files", "disk.clean", {"root": "/var/tmp/x", "older_than": "1d"}),
    ],
)
def test_a_refused_action_is_counted_and_recorded(
    app: App, door: str, action: str, arguments: dict[str, object]
) -> None:
    assert counted(app, door) == 0

    with pytest.raises(Refused):
        app.parts.dispatch.plan("here", action, arguments, 5.0)

    assert counted(app, door) == 1
    with app.store.read() as reader:
        (event,) = [event for event in reader.events_after(0, 100) if event.kind == "refused"]
    assert (event.detail["door"], event.detail["by"]) == (door, action)
    assert "is not permitted" in event.detail["why"]


def test_a_refused_probe_is_counted_and_recorded(app: App) -> None:
    with pytest.raises(Refused):
        app.parts.dispatch.probe("here", "http", {"url": "http://127.0.0.1:2/"}, 5.0)

    assert counted(app, "http") == 1
    with app.store.read() as reader:
        assert [event.detail["by"] for event in reader.events_after(0, 100) if event.kind == "refused"] == ["http"]


def test_what_cannot_be_recorded_is_counted_and_refused_all_the_same(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(work: object) -> None:
        raise StoreUnavailable("full") from sqlite3.OperationalError("full")

    monkeypatch.setattr(app.store, "write", full)

    with pytest.raises(Refused, match="is not permitted"):
        app.parts.dispatch.plan("here", "service.restart", {"service": "web"}, 5.0)

    assert counted(app, "shell") == 1


def test_the_policy_knows_where_the_monitoring_answers(app: App) -> None:
    places = app._files.policy.protected_addresses

    assert ("localhost", int(app.config.prometheus.url.rpartition(":")[2])) in places
    assert ("localhost", 9093) in places
