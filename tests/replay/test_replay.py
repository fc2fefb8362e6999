"""The whole of a replay: both bounds, both answers, the same again, what differs, and that nothing is touched."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from remediator.actions import ACTIONS
from remediator.evidence import Evidence, Scraping
from remediator.model import Dispatch
from remediator.replay import Known, NotReadable, Recording, Setting, account, members
from remediator.replay.evidence import Recorded, Unbroken
from remediator.replay.reading import other_setting, setting_of
from remediator.replay.stage import NoDispatch
from selfheal.common.clock import to_rfc3339
from tests.replay.histories import (
    BEGIN,
    HOUR,
    LIMITS,
    MINUTE,
    on,
    playbook,
    recording,
    replayed,
    setting,
    write,
)

TOP = Path(__file__).parents[2]


def told(what: Recording, *sets: Setting, after: float = 600.0) -> Any:
    """Return the account as a program gets it."""
    instances = what.instances()
    known = Known(None, members([each.labels for each in what.series]), lambda _at: len(instances))
    return json.loads(json.dumps(account(what, known, sets, after)))


def test_both_bounds_are_told_and_both_answers_where_a_person_is_asked(tmp_path: Path) -> None:
    books = [playbook("fix"), playbook("push", alert="Slow", mode="approve")]

    answer = told(recording(on((0, HOUR)), on((0, HOUR), alert="Slow")), setting(tmp_path, books))

    ran = {
        (each["healing"], each["approved_after_seconds"]): {run["playbook"]: run["ran"] for run in each["playbooks"]}
        for each in answer["scenarios"]
    }
    assert ran == {
        ("all", 600.0): {"fix": 1, "push": 1},
        ("all", None): {"fix": 1, "push": 0},
        ("none", 600.0): {"fix": 3, "push": 2},
        ("none", None): {"fix": 2, "push": 0},
    }
    assert [each["key"] for each in answer["assumptions"]][:2] == ["healing", "approvals"]


def test_where_nobody_is_asked_an_answer_makes_no_scenario(tmp_path: Path) -> None:
    books = [playbook("fix", mode="approve")]

    answer = told(recording(on((0, HOUR))), setting(tmp_path, books))
    capped = told(recording(on((0, HOUR))), capped_at_observe(setting(tmp_path / "capped", books)))

    assert len(answer["scenarios"]) == 4
    assert len(capped["scenarios"]) == 2
    assert "approvals" not in [each["key"] for each in capped["assumptions"]]


def capped_at_observe(found: Setting) -> Setting:
    config = dataclasses.replace(found.config, highest_mode=type(found.config.highest_mode)("observe"))
    return dataclasses.replace(found, config=config)


def test_the_figures_of_a_scenario(tmp_path: Path) -> None:
    limits = "limits: {cooldown: 30m, rate: [1000/1h], lock: target}\n"
    what = recording(on((0, 100), (600, 4000)), on((5 * HOUR, 6 * HOUR), alert="Nobodys"))

    answer = told(what, setting(tmp_path, [playbook("fix", limits=limits)]))

    best = answer["scenarios"][0]
    assert best["longest_hold"]["seconds"] == 1200
    assert best["longest_hold"]["reasons"] == ["cooldown"]
    assert best["worst_hour"] == {"from": answer["from"], "begun": 2, "alerts": 2}
    assert best["peak"]["under_way"] == 1
    assert best["uncovered"] == [{"alert": "Nobodys", "count": 1}]
    assert (answer["occurrences"], answer["series"], answer["instances"]) == (3, 2, 1)


@pytest.mark.parametrize("mode", ["auto", "observe"])
def test_the_worst_hour_is_any_sixty_minutes_and_not_those_of_the_recordings_beginning(
    tmp_path: Path, mode: str
) -> None:
    minutes = (5, 50, 65, 109, 110, 300)
    what = recording(*(on((at * MINUTE, at * MINUTE + 30), item=str(at)) for at in minutes))

    answer = told(what, setting(tmp_path, [playbook("fix", mode=mode, limits=LIMITS.replace("target", "host"))]))

    # at 50, 65 and 109 minutes: what begins at 110 is no longer within the hour
    begun = 3 if mode == "auto" else 0
    assert answer["scenarios"][0]["worst_hour"] == {"from": stamp(50 * MINUTE), "begun": begun, "alerts": 3}


def test_what_acts_at_once_is_counted_as_many_as_there_are_and_told_from_when(tmp_path: Path) -> None:
    # each holds its lock for 60 s: two scrapes, then healthy for 30 s
    starts = (0, 30, 59, 61, 130)
    what = recording(*(on((at, at + HOUR), instance=f"web-{at}") for at in starts))
    how = setting(tmp_path, [playbook("fix")], hosts=[f"web-{at}" for at in starts])

    best = told(what, how)["scenarios"][0]

    assert best["peak"] == {"under_way": 3, "at": stamp(59)}
    assert best["peak_alerts"] == 3


def stamp(at: float) -> str:
    return to_rfc3339(BEGIN + at)


def test_what_is_assumed_is_told_where_it_is(tmp_path: Path) -> None:
    how = setting(tmp_path, [playbook("fix")])
    what = recording(on((0, HOUR)), on((0, 60), (90, 100), instance="web-1"), on((600, 700), item="later"))
    later = recording(on((600, 700)))
    quiet = recording()

    assumed = [
        {each["key"]: each.get("count") for each in told(dataclasses.replace(each, truncated=4), how)["assumptions"]}
        for each in (what, later, quiet)
    ]

    assert [each.get("on_before") for each in assumed] == [2, None, None]
    assert [each["truncated"] for each in assumed] == [4, 4, 4]
    # without any blast radius, too: whether many fell ill at once depends on how many there are
    assert "groups_unknown" in assumed[1]
    assert "demoted" in assumed[0]
    assert "demoted" not in {each["key"] for each in told(what, capped_at_observe(how))["assumptions"]}


def test_the_same_history_comes_to_the_same_account(tmp_path: Path) -> None:
    what = recording(*(on((n * 50, n * 90 + 500), (HOUR, 2 * HOUR), item=str(n)) for n in range(12)))
    how = setting(tmp_path, [playbook("fix", limits="limits: {cooldown: 5m, rate: [4/1h], lock: host}\n")])

    assert told(what, how) == told(what, how)


def test_the_difference_between_two_sets_is_told_per_alert(tmp_path: Path) -> None:
    slow = playbook("push", alert="Slow").replace("thing", "other")
    new = setting(tmp_path / "new", [playbook("fix"), slow.replace("mode: auto", "mode: observe")])
    old = setting(tmp_path / "old", [slow, playbook("same", alert="Full").replace("thing", "third")])
    what = recording(*(on((0, HOUR), (2 * HOUR, 3 * HOUR), alert=alert) for alert in ("Sick", "Slow", "Full")))
    with_same = dataclasses.replace(new, playbooks=(*new.playbooks, *old.playbooks[1:]))

    answer = told(what, with_same, old)

    assert answer["against"][0]["differences"] == [
        {
            "change": "newly_runs",
            "alert": "Sick",
            "before": {"came": "nothing", "playbooks": []},
            "after": {"came": "ran", "playbooks": ["fix"]},
            "count": 2,
        },
        {
            "change": "stops_running",
            "alert": "Slow",
            "before": {"came": "ran", "playbooks": ["push"]},
            "after": {"came": "observed", "playbooks": ["push"]},
            "count": 2,
        },
    ]


def test_another_second_rung_of_the_ladder_is_a_difference(tmp_path: Path) -> None:
    one = LIMITS.replace("lock: target", "lock: target, attempts: 1")
    first = playbook("first", limits=one)
    climbing = first.replace("otherwise: [page_owner]", "otherwise: [second, page_owner]")
    second = playbook("second", alert="Never", limits=one)
    new, old = setting(tmp_path / "new", [climbing, second]), setting(tmp_path / "old", [first, second])

    healed, not_healed = told(recording(on((0, HOUR))), new, old)["against"]

    assert healed["differences"] == []
    assert not_healed["differences"] == [
        {
            "change": "changed",
            "alert": "Sick",
            "before": {"came": "ran", "playbooks": ["first"]},
            "after": {"came": "ran", "playbooks": ["first", "second"]},
            "count": 1,
        }
    ]


def test_the_other_way_round_it_is_the_same_difference(tmp_path: Path) -> None:
    slow = playbook("push", alert="Slow", mode="observe")
    new = setting(tmp_path / "new", [playbook("fix"), slow])
    old = setting(tmp_path / "old", [playbook("heal", alert="Full"), slow.replace("observe", "auto")])
    what = recording(*(on((0, HOUR), alert=alert, item="a") for alert in ("Sick", "Slow", "Full")))

    there, back = told(what, new, old)["against"], told(what, old, new)["against"]

    turned = {"newly_runs": "stops_running", "stops_running": "newly_runs", "changed": "changed"}
    assert there[0]["differences"]
    for one, other in zip(there, back, strict=True):
        assert sorted(map(str, one["differences"])) == sorted(
            str({**each, "change": turned[each["change"]], "before": each["after"], "after": each["before"]})
            for each in other["differences"]
        )


def test_which_labels_tell_replicas_is_the_same_for_both_sets_or_their_alerts_would_not_be_the_same(
    tmp_path: Path,
) -> None:
    base = setting(tmp_path / "base", [playbook("fix")]).config
    path = write(tmp_path / "other", [playbook("fix")])
    path.write_text(path.read_text().replace("prometheus: {", "prometheus: {ignore_labels: [item], "))
    what = recording(on((0, HOUR), replica="a", item="a"))

    answer = told(what, setting_of(base), other_setting(path, base))

    assert answer["against"][0]["differences"] == []


def test_another_set_is_a_folder_a_playbook_or_a_configuration(tmp_path: Path) -> None:
    base = setting(tmp_path / "base", [playbook("fix")]).config
    path = write(tmp_path / "other", [playbook("one"), playbook("two", alert="Slow")])
    folder = path.parent / "playbooks"

    names = {
        kind: [each.name for each in other_setting(given, base).playbooks]
        for kind, given in (("folder", folder), ("playbook", folder / "1.yml"), ("configuration", path))
    }

    assert names == {"folder": ["one", "two"], "playbook": ["two"], "configuration": ["one", "two"]}
    with pytest.raises(NotReadable, match="holds no playbook; give a folder of"):
        setting_of(base, [tmp_path])
    with pytest.raises(NotReadable, match=r"gone: cannot be read: No such file"):
        other_setting(tmp_path / "gone", base)


def public(kind: type) -> set[str]:
    return {name for name, value in vars(kind).items() if callable(value) and not name.startswith("_")}


@pytest.mark.parametrize(
    ("real", "ours", "goes_on"),
    [
        # they only ask `rules`, `rule_for` and `refused`, which are answered here
        (Evidence, Recorded, {"question"}),
        (Scraping, Unbroken, set[str]()),
        (Dispatch, NoDispatch, set[str]()),
    ],
)
def test_every_question_to_the_world_is_answered_here(real: type, ours: type, goes_on: set[str]) -> None:
    assert public(real) - public(ours) == goes_on


def test_no_action_is_ever_asked_to_plan_or_to_run(tmp_path: Path) -> None:
    found = setting(tmp_path, [playbook("fix")])

    def refuse(*_: object) -> None:
        raise AssertionError("an action was called")

    real = ACTIONS["process.terminate"]
    names = ("name", "version", "effect", "idempotent", "arguments")
    armed = SimpleNamespace(**{name: getattr(real, name) for name in names}, plan=refuse, run=refuse, undo=refuse)
    actions: Any = {"process.terminate": armed}

    heard = replayed(recording(on((0, HOUR))), dataclasses.replace(found, actions=actions))

    assert heard.tally.playbooks["fix"].ran == 1


WATCHED = """
import json, os, sys
seen = []
here = os.environ["WRITABLE"]

def watch(event, args):
    if event in ("socket.connect", "socket.sendto", "subprocess.Popen", "os.kill", "os.remove", "os.rename", "os.mkdir",
                 "os.fork", "os.posix_spawn", "os.system", "os.exec", "os.truncate", "os.chmod", "shutil.rmtree"):
        seen.append([event, str(args[:1])])
    if event == "sqlite3.connect" and str(args[0]) != ":memory:":
        seen.append([event, str(args[0])])
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        seen.append([event, str(args[0])])

sys.dont_write_bytecode = True
sys.addaudithook(watch)
from selfheal.cli import main
code = main(json.loads(os.environ["COMMAND"]))
print(json.dumps({"code": code, "seen": seen}))
"""


def test_nothing_outside_of_the_process_is_touched(tmp_path: Path) -> None:
    config = write(tmp_path, [playbook("fix")])
    (tmp_path / "recorded").write_text(
        "".join(f'ALERTS{{alertname="Sick",alertstate="firing",instance="web-0"}} 1 {at}\n' for at in range(0, 900, 15))
    )
    before = sorted(tmp_path.rglob("*"))
    command = ["replay", "--config.file", str(config), "--file", str(tmp_path / "recorded"), "--json"]
    environment = os.environ | {"COMMAND": json.dumps(command), "WRITABLE": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-c", WATCHED],
        cwd=TOP,
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )

    last = json.loads(done.stdout.splitlines()[-1])
    assert last == {"code": 0, "seen": []}
    assert '"ran": 1' in done.stdout
    assert sorted(tmp_path.rglob("*")) == before


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command line in this process."""
    from selfheal.cli import main

    def run(*words: str) -> tuple[int, str, str]:
        try:
            code = main(words)
        except SystemExit as stop:
            code = int(stop.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "en",
            ["If every action heals", "If no action heals", "nothing was touched", "What would really have happened"],
        ),
        ("ko", ["모든 조치가 고친다면", "어떤 조치도 고치지 못한다면", "아무것도 건드리지 않았습니다"]),
    ],
)
def test_a_person_reads_tables_in_both_languages(
    tmp_path: Path, say: Callable[..., tuple[int, str, str]], language: str, expected: list[str]
) -> None:
    books = [playbook("fix", mode="approve"), playbook("push", alert="Slow")]
    config = write(tmp_path, books)
    lines = [
        f'ALERTS{{alertname="{alert}",alertstate="firing",instance="{where}"}} 1 {at}'
        for alert, where in (("Sick", "web-0"), ("Slow", "elsewhere"), ("Nobodys", "web-0"))
        for at in range(0, 900, 15)
    ]
    (tmp_path / "recorded").write_text("\n".join(lines))
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "push.yml").write_text(books[1])

    code, out, err = say(
        "replay", "--config.file", str(config), "--file", str(tmp_path / "recorded"), "--lang", language,
        "--against", str(tmp_path / "old"),
    )  # fmt: skip

    assert (code, err) == (0, "")
    for text in [*expected, "fix", "Nobodys × 1", "10m"]:
        assert text in out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--from", "yesterday"], 2, "--from: 'yesterday' is no time; write for example 2026-01-31T00:00:00Z, 30d"),
        (["--from", "1d", "--to", "2d"], 2, "--from must be earlier than --to"),
        (["--file", "nowhere"], 1, "nowhere: cannot be read: No such file or directory; give a file that is there"),
        (["--from", "1h"], 1, "Prometheus gave no usable answer: http://127.0.0.1:1: "),
        (["--approve-after", "soon"], 2, "'soon' is not a duration"),
    ],
)
def test_what_cannot_be_replayed_is_told_with_the_remedy(
    tmp_path: Path, say: Callable[..., tuple[int, str, str]], words: list[str], code: int, message: str
) -> None:
    config = write(tmp_path, [playbook("fix")])

    found, _, err = say("replay", "--config.file", str(config), *words, "--lang", "en")

    assert found == code
    assert message in err


def test_a_playbook_that_cannot_be_read_names_file_key_and_remedy(
    tmp_path: Path, say: Callable[..., tuple[int, str, str]]
) -> None:
    config = write(tmp_path, [playbook("fix")])
    (tmp_path / "bad.yml").write_text(playbook("bad", mode="sometimes"))
    (tmp_path / "recorded").write_text('ALERTS{alertname="A",alertstate="firing"} 1 5\n')

    code, _, err = say(
        "replay", "--config.file", str(config), "--file", str(tmp_path / "recorded"),
        "--playbooks", str(tmp_path / "bad.yml"),
    )  # fmt: skip

    assert code == 1
    assert "bad.yml: mode: " in err
