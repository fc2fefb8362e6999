"""Arguments: read by their types, every fault at once; label text is data, whatever it holds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remediator.actions import ACTIONS, problems, validate
from remediator.actions.arguments import parse_bytes
from remediator.errors import Refused, RemediatorError
from remediator.policy import Command, Policy, Root
from selfheal.common.problems import ConfigError

POLICY = Policy(
    process_groups=("worker-*",),
    roots=(Root("/var/tmp/app", 0.0),),
    commands=(Command("web", ("/bin/true",), ("/bin/true",), ("/bin/true",)),),
    source="policy.yml",
)
CANARY = "selfheal-canary"
HOSTILE = [
    f"$(touch {CANARY})",
    f"`touch {CANARY}`",
    f"; touch {CANARY} #",
    f"worker-a; touch {CANARY}",
    f"worker-a\ntouch {CANARY}",
    "worker-*",
    "worker-a' OR '1'='1",
    '"}) or vector(1) #',
    "{{ $labels.x }}",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "/var/tmp/app/../../../etc",
    "-rf",
    "--",
    "%s%n{0}{}",
    "worker-\x00",
    "worker-\x1b[2J",
    "worker-\ud800",
    "\u202eworker-a",
    "worker-" + "a" * 2_000_000,
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (0, 0),
        (123, 123),
        ("123", 123),
        ("1B", 1),
        ("400MiB", 400 * 2**20),
        ("10GB", 10**10),
        ("1.5KiB", 1536),
        ("2 TiB", 2 * 2**40),
        ("3kB", 3000),
    ],
)
def test_amounts_of_bytes(text: object, expected: int) -> None:
    assert parse_bytes(text) == expected


@pytest.mark.parametrize(
    "text", ["", "-1", -1, "1e9", "ten", "10 apples", "10mB", True, 1.5, None, "MiB", "1_000", "٣"]
)
def test_what_is_no_amount_of_bytes(text: object) -> None:
    with pytest.raises(ValueError, match="is not an amount of bytes; write for example 400MiB"):
        parse_bytes(text)


def test_arguments_become_canonical_and_stay_so() -> None:
    action = ACTIONS["process.terminate"]

    canonical = validate(action, {"group": "worker-a", "over_rss": "400MiB", "grace": "1m30s"}, POLICY)

    assert canonical == {"group": "worker-a", "over_rss": 400 * 2**20, "over_cpu": None, "grace": 90.0} | {
        "under_cpu": None,
        "most": None,
    }
    assert validate(action, canonical, POLICY) == canonical


def test_every_fault_is_told_at_once() -> None:
    raw = {"over_rss": "much", "over_cpu": "0.5", "grace": "soon", "gruop": "worker-a"}

    with pytest.raises(ConfigError) as raised:
        validate(ACTIONS["process.terminate"], raw, POLICY)

    assert [str(problem) for problem in raised.value.problems] == [
        ": gruop: unknown argument; process.terminate knows group, over_rss, over_cpu, under_cpu, most, grace",
        ": group: is missing; add it",
        ": over_rss: 'much' is not an amount of bytes; write for example 400MiB, 10GB or a whole number",
        ": over_cpu: '0.5' is not a number from 0 up; write it without quotes",
        ": grace: 'soon' is not a duration; write for example 30s, 5m, 1h30m or 2d",
    ]


@pytest.mark.parametrize(
    ("name", "raw", "what"),
    [
        ("process.terminate", {"over_rss": 1, "over_cpu": 0.5}, "stand together"),
        ("process.terminate", {"over_cpu": math.nan}, "is not a number"),
        ("process.terminate", {"over_cpu": math.inf}, "is not a number"),
        ("process.terminate", {"over_cpu": True}, "is not a number"),
        ("process.terminate", {"over_cpu": -0.1}, "is not a number"),
        ("process.terminate", {"grace": True}, "is not a duration"),
        ("process.terminate", {"grace": "9" * 400 + "s"}, "longer than any clock can tell"),
        ("process.terminate", {"over_rss": "9" * 400 + "GB"}, "is too large"),
        ("process.reap", {"restart_parent": "true"}, "is neither true nor false"),
        ("process.reap", {"restart_parent": 1}, "is neither true nor false"),
        ("disk.clean", {"root": "/var/tmp/app"}, "neither how far nor how old"),
        ("notify.log", {"message": ""}, "is no text"),
        ("notify.log", {"message": 5}, "is no text"),
        ("notify.log", {"message": ["x"]}, "is no text"),
    ],
)
def test_a_wrong_argument_is_refused(name: str, raw: dict[str, object], what: str) -> None:
    group = {"group": "worker-a"} if "group" in ACTIONS[name].arguments else {}

    with pytest.raises(ConfigError, match=what):
        validate(ACTIONS[name], {**group, **raw}, POLICY)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("process.terminate", {"group": "db"}),
        ("process.reap", {"group": "db"}),
        ("disk.clean", {"root": "/etc", "older_than": "1d"}),
        ("service.restart", {"service": "db"}),
    ],
)
def test_what_the_policy_does_not_list_is_refused(name: str, raw: dict[str, object]) -> None:
    with pytest.raises(Refused, match="is not permitted"):
        validate(ACTIONS[name], raw, POLICY)


def test_a_template_may_stand_in_a_lookup_and_nowhere_else() -> None:
    template = "{{ $labels.groupname }}"

    assert problems(ACTIONS["process.terminate"], {"group": template}) == []
    (fault,) = problems(ACTIONS["process.terminate"], {"group": template, "over_rss": template})
    assert (fault.path, fault.what) == ("over_rss", f"{template!r} holds a template")
    (fault,) = problems(ACTIONS["process.reap"], {"group": template, "restart_parent": template})
    assert fault.path == "restart_parent"


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize(
    ("name", "argument", "others"),
    [
        ("process.terminate", "group", {}),
        ("process.reap", "group", {}),
        ("service.restart", "service", {}),
        ("disk.clean", "root", {"older_than": "0s"}),
    ],
)
def test_hostile_text_selects_nothing(
    host: Any, monkeypatch: pytest.MonkeyPatch, name: str, argument: str, others: dict[str, object], text: str
) -> None:
    monkeypatch.chdir(host.folder)
    host.permit_root(host.folder)
    host.permit_commands("", "", "")
    child, _ = host.start()

    try:
        items = host.plan(name, **{argument: text, **others}).items
    except (RemediatorError, ConfigError):
        items = ()

    assert items == ()
    assert child.poll() is None
    assert not (host.folder / CANARY).exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.sampled_from(HOSTILE))
def test_any_text_is_announced_as_it_is_or_refused(host: Any, text: str) -> None:
    host.said.clear()

    try:
        plan = host.plan("notify.log", message=text)
    except ConfigError:
        assert not text or len(text.encode("utf-8", "surrogatepass")) > 256 or not text.isprintable()
        return
    outcome = host.run("notify.log", plan)

    assert host.said == [text]
    assert outcome.ok
    assert not Path(CANARY).exists()


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300))
def test_any_name_of_a_service_root_or_group_is_looked_up_and_never_more(text: str) -> None:
    for name, argument, more in (
        ("service.restart", "service", {}),
        ("disk.clean", "root", {"older_than": "1d"}),
        ("process.reap", "group", {}),
    ):
        try:
            values = validate(ACTIONS[name], {argument: text, **more}, POLICY)
        except (Refused, ConfigError):
            continue
        permitted = {"service": text == "web", "root": text == "/var/tmp/app", "group": text.startswith("worker-")}
        assert values[argument] == text
        assert permitted[argument]
