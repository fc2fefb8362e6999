"""The heartbeat collector: reports by files and by calls, over a real server, and over restarts."""

from __future__ import annotations

import base64
import http.client
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import bcrypt
import pytest

from exporter.collectors import heartbeat
from exporter.config import make_parser
from exporter.heartbeat.ledger import Ledger
from exporter.heartbeat.model import Beat, Heartbeat, parse_result
from exporter.heartbeat.touched import read_touched
from exporter.heartbeat.written import read_heartbeats
from exporter.messages import Request
from exporter.paths import Paths
from exporter.settings import IncompleteError, Settings
from selfheal.common.clock import Clock, ManualClock
from selfheal.common.problems import ConfigError
from tests.exporter.programs import get, running
from tests.exporter.trees import values

EXAMPLE = Path(__file__).parents[2] / "examples/exporter-heartbeat.yml"


def create(
    config: Path, rootfs: Path, clock: Clock | None = None, *, once: bool = True
) -> heartbeat.HeartbeatCollector:
    flags = make_parser().parse_args(["--collector.heartbeat.config", str(config)])
    return heartbeat.create(Settings(Paths(rootfs=rootfs), clock or ManualClock(), flags, once=once))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def touch(path: Path, at: float, text: str = "") -> None:
    path.write_text(text)
    os.utime(path, (at, at))


def request(method: str, path: str, query: str = "", headers: dict[str, str] | None = None) -> Request:
    return Request(method, path, query, headers or {}, keep_alive=True)


@contextmanager
def calling(config: Path, clock: ManualClock) -> Iterator[heartbeat.HeartbeatCollector]:
    """Build the collector as a server does, with calls only."""
    with closing(create(config, Path("/"), clock, once=False)) as collector:
        yield collector


def test_a_file_that_is_touched_or_written_is_a_sign_of_life(tmp_path: Path) -> None:
    config = write(
        tmp_path / "h.yml",
        """
heartbeats:
  touched: {interval: 1h, grace: 5m, file: /touched}
  failed: {interval: 1d, file: /failed}
  never: {interval: 30s, file: /never}
""",
    )
    touch(tmp_path / "touched", 1_699_999_000)
    touch(tmp_path / "failed", 1_699_999_500, "3\n")

    with closing(create(config, tmp_path)) as collect:
        page = values(collect())

    assert {series.replace("selfheal_heartbeat_", ""): value for series, value in page.items()} == {
        'timestamp_seconds{heartbeat="touched"}': "1699999000.0",
        'timestamp_seconds{heartbeat="failed"}': "1699999500.0",
        'ok{heartbeat="touched"}': "1",
        'ok{heartbeat="failed"}': "0",
        'ok_timestamp_seconds{heartbeat="touched"}': "1699999000.0",
        **{
            f'watched_since_timestamp_seconds{{heartbeat="{n}"}}': "1700000000.0"
            for n in ("touched", "failed", "never")
        },
        'interval_seconds{heartbeat="touched"}': "3600.0",
        'interval_seconds{heartbeat="failed"}': "86400.0",
        'interval_seconds{heartbeat="never"}': "30.0",
        'grace_seconds{heartbeat="touched"}': "300.0",
        'grace_seconds{heartbeat="failed"}': "0.0",
        'grace_seconds{heartbeat="never"}': "0.0",
        **{
            f'selfheal_collector_refresh_timestamp_seconds{{collector="heartbeat",source="{name}"}}': "1700000000.0"
            for name in ("touched", "failed", "never")
        },
        **{
            f'selfheal_collector_refresh_failures_total{{collector="heartbeat",source="{name}"}}': "0"
            for name in ("touched", "failed", "never")
        },
    }


def test_a_file_that_holds_no_result_is_a_failure_and_the_others_are_known(tmp_path: Path) -> None:
    config = write(
        tmp_path / "h.yml",
        "heartbeats: {odd: {interval: 1h, file: /odd}, fine: {interval: 1h, file: /fine}}",
    )
    touch(tmp_path / "odd", 1_699_999_000, "done")
    touch(tmp_path / "fine", 1_699_999_000)

    with closing(create(config, tmp_path)) as collect, pytest.raises(IncompleteError) as caught:
        collect()

    # what it holds is not told: it may be a link to what is nobody's business
    assert str(caught.value) == (
        f"odd: {tmp_path}/odd holds no result; write ok, failed, or an exit code from 0 to 255"
    )
    page = values(caught.value.families)
    assert page['selfheal_heartbeat_ok{heartbeat="fine"}'] == "1"
    assert 'selfheal_heartbeat_ok{heartbeat="odd"}' not in page


def test_a_file_just_emptied_for_its_result_is_not_yet_a_sign_of_life(tmp_path: Path) -> None:
    touch(tmp_path / "beat", 1000.0)

    assert read_touched(tmp_path / "beat", 1001.9) is None
    assert read_touched(tmp_path / "beat", 1002.0) == Beat(1000.0, True)
    # the clock was set back: it will not be about to be written for hours
    assert read_touched(tmp_path / "beat", 900.0) == Beat(1000.0, True)


@pytest.mark.parametrize(("kind", "error"), [("folder", "is no regular file"), ("pipe", "is no regular file")])
def test_what_is_no_file_is_named_and_never_waited_for(tmp_path: Path, kind: str, error: str) -> None:
    path = tmp_path / "beat"
    path.mkdir() if kind == "folder" else os.mkfifo(path)

    with pytest.raises(ValueError, match=rf"^{path} {error}$"):
        read_touched(path, 0.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", True), ("ok\n", True), ("0", True), ("failed", False), ("1\n", False), ("255", False)],
)
def test_results(text: str, expected: bool) -> None:
    assert parse_result(text) is expected


@pytest.mark.parametrize("text", ["256", "-1", "OK", "yes", "1 2", "²"])
def test_what_is_no_result(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_result(text)

    assert str(caught.value) == f"{text!r} is no result; write ok, failed, or an exit code from 0 to 255"


def test_a_call_is_noted_and_one_that_failed_keeps_the_time_it_last_went_well(tmp_path: Path) -> None:
    clock = ManualClock()
    config = write(tmp_path / "h.yml", "heartbeats: {job: {interval: 1h}}")
    with calling(config, clock) as collect:
        before = values(collect())
        report = collect.pages["/heartbeat/"]

        first = report(request("POST", "/heartbeat/job"))
        clock.advance(60)
        second = report(request("POST", "/heartbeat/job", "result=2"))
        page = values(collect())

    assert 'selfheal_heartbeat_timestamp_seconds{heartbeat="job"}' not in before
    assert before['selfheal_heartbeat_watched_since_timestamp_seconds{heartbeat="job"}'] == "1700000000.0"
    assert (first.status, first.body, second.status) == (200, b"noted\n", 200)
    assert page['selfheal_heartbeat_timestamp_seconds{heartbeat="job"}'] == "1700000060.0"
    assert page['selfheal_heartbeat_ok{heartbeat="job"}'] == "0"
    assert page['selfheal_heartbeat_ok_timestamp_seconds{heartbeat="job"}'] == "1700000000.0"


@pytest.mark.parametrize(
    ("asked", "status", "body", "reason"),
    [
        (request("GET", "/heartbeat/job"), 405, "report with POST", "malformed"),
        (
            request("POST", "/heartbeat/jobs"),
            404,
            "no heartbeat of this name is configured to report by calls",
            "unknown",
        ),
        (
            request("POST", "/heartbeat/by-file"),
            404,
            "no heartbeat of this name is configured to report by calls",
            "unknown",
        ),
        (
            request("POST", "/heartbeat/job", "result=fine"),
            400,
            "'fine' is no result; write ok, failed, or an exit code from 0 to 255",
            "malformed",
        ),
        (
            request("POST", "/heartbeat/job", "result=ok&result=failed"),
            400,
            "the query may say result=ok, result=failed or result=EXIT_CODE, once, and nothing else",
            "malformed",
        ),
        (
            request("POST", "/heartbeat/job", "status=ok"),
            400,
            "the query may say result=ok, result=failed or result=EXIT_CODE, once, and nothing else",
            "malformed",
        ),
        (
            request("POST", "/heartbeat/job", headers={"origin": "http://evil.example"}),
            400,
            "a page in a browser may not report",
            "browser",
        ),
    ],
)
def test_a_call_that_is_refused_says_why_and_is_counted(
    tmp_path: Path, asked: Request, status: int, body: str, reason: str
) -> None:
    config = write(tmp_path / "h.yml", "heartbeats: {job: {interval: 1h}, by-file: {interval: 1h, file: /nowhere}}")
    with calling(config, ManualClock()) as collect:
        answer = collect.pages["/heartbeat/"](asked)
        counted = {
            series: value for series, value in values(collect._families()).items() if "refused" in series
        }  # the whole page would wait for the file

    assert (answer.status, answer.body) == (status, f"{status}: {body}\n".encode())
    assert answer.headers.get("Allow") == ("POST" if status == 405 else None)
    expected = dict.fromkeys(("unknown", "malformed", "browser", "storage"), "0") | {reason: "1"}
    assert counted == {
        f'selfheal_heartbeat_calls_refused_total{{reason="{why}"}}': count for why, count in expected.items()
    }


def test_what_was_reported_survives_a_restart_if_a_state_is_configured(tmp_path: Path) -> None:
    clock = ManualClock()
    config = write(tmp_path / "h.yml", "heartbeats: {job: {interval: 1h}, other: {interval: 1h}}\nstate: beats.json")
    with calling(config, clock) as collect:
        collect.pages["/heartbeat/"](request("POST", "/heartbeat/job"))
        clock.advance(10)
        collect.pages["/heartbeat/"](request("POST", "/heartbeat/job", "result=failed"))
        before = values(collect())

    clock.advance(1000)
    with calling(config, clock) as collect:
        after = values(collect())

    assert after == before
    assert after['selfheal_heartbeat_timestamp_seconds{heartbeat="job"}'] == "1700000010.0"
    assert after['selfheal_heartbeat_ok_timestamp_seconds{heartbeat="job"}'] == "1700000000.0"
    assert after["selfheal_heartbeat_state_errors_total"] == "0"


def test_without_a_state_reports_are_forgotten_and_waiting_begins_anew(tmp_path: Path) -> None:
    clock = ManualClock()
    config = write(tmp_path / "h.yml", "heartbeats: {job: {interval: 1h}}")
    with calling(config, clock) as collect:
        collect.pages["/heartbeat/"](request("POST", "/heartbeat/job"))

    clock.advance(1000)
    with calling(config, clock) as collect:
        page = values(collect())

    assert 'selfheal_heartbeat_timestamp_seconds{heartbeat="job"}' not in page
    assert page['selfheal_heartbeat_watched_since_timestamp_seconds{heartbeat="job"}'] == "1700001000.0"
    assert list(tmp_path.iterdir()) == [config]


def test_waiting_for_the_first_report_is_remembered_too(tmp_path: Path) -> None:
    clock = ManualClock()
    config = write(tmp_path / "h.yml", "heartbeats: {job: {interval: 1h}}\nstate: beats.json")
    with calling(config, clock) as collect:
        collect()

    clock.advance(1000)
    with calling(config, clock) as collect:
        page = values(collect())

    assert page['selfheal_heartbeat_watched_since_timestamp_seconds{heartbeat="job"}'] == "1700000000.0"


@pytest.mark.parametrize("damage", ["{", "[]", '{"job": {}}', '{"job": {"since": "x", "at": null, "last_ok": null}}'])
def test_a_damaged_state_is_counted_and_watching_begins_anew(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = write(tmp_path / "h.yml", "heartbeats: {job: {interval: 1h}}\nstate: beats.json")
    (tmp_path / "beats.json").write_text(damage)

    with calling(config, ManualClock()) as collect:
        page = values(collect())

    assert page["selfheal_heartbeat_state_errors_total"] == "1"
    assert [record.message for record in caplog.records] == ["heartbeats are forgotten"]
    assert json.loads((tmp_path / "beats.json").read_text())["job"]["since"] == 1_700_000_000.0


def test_a_call_that_cannot_be_stored_says_so_is_known_and_is_stored_as_soon_as_that_goes(tmp_path: Path) -> None:
    config = write(tmp_path / "h.yml", "heartbeats: {job: {interval: 1h}}\nstate: later/beats.json")
    with calling(config, ManualClock()) as collect:
        answer = collect.pages["/heartbeat/"](request("POST", "/heartbeat/job"))
        page = values(collect())
        (tmp_path / "later").mkdir()
        collect()

    assert answer.status == 503
    assert page['selfheal_heartbeat_ok{heartbeat="job"}'] == "1"
    assert page['selfheal_heartbeat_calls_refused_total{reason="storage"}'] == "1"
    # the call and the scrape
    assert page["selfheal_heartbeat_state_errors_total"] == "2"
    assert json.loads((tmp_path / "later/beats.json").read_text())["job"]["at"] == 1_700_000_000.0


def test_a_look_at_one_page_writes_nothing(tmp_path: Path) -> None:
    config = write(tmp_path / "h.yml", "heartbeats: {job: {interval: 1h, file: /beat}}\nstate: beats.json")
    touch(tmp_path / "beat", 1000.0)

    with closing(create(config, tmp_path, once=True)) as collect:
        page = values(collect())

    assert page['selfheal_heartbeat_timestamp_seconds{heartbeat="job"}'] == "1000.0"
    assert not (tmp_path / "beats.json").exists()


def test_a_call_between_the_building_of_the_next_collector_and_its_turn_is_not_lost(tmp_path: Path) -> None:
    clock = ManualClock()
    config = write(tmp_path / "h.yml", "heartbeats: {a: {interval: 1h}, b: {interval: 1h}}\nstate: beats.json")
    with calling(config, clock) as old:
        old()
        write(config, "heartbeats: {a: {interval: 1h}, b: {interval: 1h}, c: {interval: 1h}}\nstate: beats.json")
        with calling(config, clock) as new:
            clock.advance(5)
            new.pages["/heartbeat/"](request("POST", "/heartbeat/b"))
            assert old.pages["/heartbeat/"](request("POST", "/heartbeat/a")).status == 200
            page = values(new())

    assert page['selfheal_heartbeat_timestamp_seconds{heartbeat="a"}'] == "1700000005.0"
    assert page['selfheal_heartbeat_timestamp_seconds{heartbeat="b"}'] == "1700000005.0"
    stored = json.loads((tmp_path / "beats.json").read_text())
    assert {name: entry["at"] for name, entry in stored.items()} == {"a": clock.now(), "b": clock.now(), "c": None}


def test_two_ledgers_of_one_file_lose_no_call(tmp_path: Path) -> None:
    names = ("a", "b")
    ledgers = {name: Ledger(names, tmp_path / "beats.json", ManualClock()) for name in names}

    def beat(name: str) -> None:
        for at in range(100):
            ledgers[name].note(name, Beat(float(at), True))

    threads = [threading.Thread(target=beat, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [ledger.errors for ledger in ledgers.values()] == [0, 0]
    stored = json.loads((tmp_path / "beats.json").read_text())
    assert {name: entry["at"] for name, entry in stored.items()} == {"a": 99.0, "b": 99.0}


def test_what_others_put_beside_the_state_is_neither_followed_nor_waited_for(tmp_path: Path) -> None:
    config = write(tmp_path / "h.yml", "heartbeats: {job: {interval: 1h}}\nstate: beats.json")
    mine = write(tmp_path / "mine", "mine")
    beside = tmp_path / f".beats.json.{os.getpid()}.{threading.get_native_id()}.new"
    beside.hardlink_to(mine)

    with calling(config, ManualClock()) as collect:
        assert collect.pages["/heartbeat/"](request("POST", "/heartbeat/job")).status == 200

    assert mine.read_text() == "mine"
    assert json.loads((tmp_path / "beats.json").read_text())["job"]["ok"]


def test_many_calls_at_once_lose_none(tmp_path: Path) -> None:
    names = [f"job{number}" for number in range(8)]
    ledger = Ledger(names, tmp_path / "beats.json", ManualClock())

    def beat(name: str) -> None:
        for at in range(25):
            ledger.note(name, Beat(float(at), at != 24))

    threads = [threading.Thread(target=beat, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    again = Ledger(names, tmp_path / "beats.json", ManualClock())
    assert again.entries() == ledger.entries()
    assert {entry.last for entry in again.entries().values()} == {Beat(24.0, False)}
    assert {entry.last_ok for entry in again.entries().values()} == {23.0}


def test_a_call_to_the_real_program_is_seen_by_the_next_scrape_and_survives_its_death(tmp_path: Path) -> None:
    config = write(tmp_path / "h.yml", "heartbeats: {job: {interval: 1m}}\nstate: beats.json")
    flags = ("--collector.disable-defaults", "--collector.heartbeat", f"--collector.heartbeat.config={config}")
    series = 'selfheal_heartbeat_timestamp_seconds{heartbeat="job"}'
    begun = time.time()
    with running(*flags) as program:
        told = call(program.port, "POST", "/heartbeat/job?result=failed")
        unknown = call(program.port, "POST", "/heartbeat/else")
        page = values(get(program.port, "/metrics"))
        program.child.kill()
        program.child.wait(timeout=10)
    with running(*flags) as program:
        again = values(get(program.port, "/metrics"))

    assert told == (200, b"noted\n")
    assert unknown[0] == 404
    assert page['selfheal_heartbeat_ok{heartbeat="job"}'] == "0"
    assert begun <= float(page[series]) <= time.time()
    assert again[series] == page[series]


def test_a_call_needs_the_password_that_a_scrape_needs(tmp_path: Path) -> None:
    config = write(tmp_path / "h.yml", "heartbeats: {job: {interval: 1m}}")
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    web = write(tmp_path / "web.yml", f"basic_auth_users: {{job: {hashed}}}")
    web.chmod(0o600)
    password = {"Authorization": "Basic " + base64.b64encode(b"job:secret").decode()}
    with running(
        "--collector.disable-defaults",
        "--collector.heartbeat",
        f"--collector.heartbeat.config={config}",
        f"--web.config.file={web}",
    ) as program:
        refused = call(program.port, "POST", "/heartbeat/job")
        before = call(program.port, "GET", "/metrics", password)
        noted = call(program.port, "POST", "/heartbeat/job", password)

    assert refused[0] == 401
    assert 'selfheal_heartbeat_ok{heartbeat="job"}' not in values(before[1])
    assert noted == (200, b"noted\n")


def call(port: int, method: str, target: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, target, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_everything_wrong_in_the_file_is_told_at_once(tmp_path: Path) -> None:
    config = write(
        tmp_path / "h.yml",
        """
heartbeats:
  a: {interval: 500ms, grace: soon}
  b: {file: beat}
  c: {interval: 60}
  "x/y": {interval: 1h}
every: 0s
states: x
""",
    )

    with pytest.raises(ConfigError) as caught:
        read_heartbeats(config)

    assert str(caught.value).replace(f"{config}: ", "").splitlines() == [
        "heartbeats.a.interval: must be at least 1s; raise it",
        "heartbeats.a.grace: 'soon' is not a duration; write for example 30s, 5m, 1h30m or 2d",
        "heartbeats.b.interval: is missing; add it",
        "heartbeats.b.file: 'beat' is no absolute path; write it from / on",
        "heartbeats.c.interval: must be a duration, not a number; write for example 30s, 5m or 1h30m",
        "every: must be at least 1s; raise it",
        "states: unknown key; did you mean state?",
    ]


def test_a_name_must_fit_into_an_address(tmp_path: Path) -> None:
    config = write(tmp_path / "h.yml", 'heartbeats: {"x/y": {interval: 1h}}')

    with pytest.raises(ConfigError) as caught:
        read_heartbeats(config)

    assert str(caught.value) == (f"{config}: heartbeats: 'x/y' is no name; use letters, digits, _, . and -, at most 64")


def test_without_a_file_nobody_is_waited_for() -> None:
    settings = Settings(Paths(), ManualClock(), make_parser().parse_args([]))

    with pytest.raises(ValueError) as caught:
        heartbeat.create(settings)

    assert str(caught.value) == (
        "the heartbeat collector waits for nobody; name a file with --collector.heartbeat.config"
    )
    assert heartbeat.files(settings.flags) == []


def test_the_shipped_example_is_right() -> None:
    flags = make_parser().parse_args(["--collector.heartbeat.config", str(EXAMPLE)])

    assert heartbeat.files(flags) == [EXAMPLE]
    assert read_heartbeats(EXAMPLE).heartbeats == [
        Heartbeat("backup", 86400.0, 7200.0, "/var/lib/heartbeats/backup"),
        Heartbeat("import", 900.0, 300.0),
    ]
