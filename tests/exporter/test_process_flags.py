"""process-exporter's flags, spelled with one dash or two, and what they mean here."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.collectors import process
from exporter.config import make_parser
from tests.exporter.test_process import PREFIX, groups_file
from tests.exporter.trees import GROUPS, copied_procfs, create, values


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], (True, False, False, False, False)),
        (
            ["-children=false", "-threads", "-gather-smaps=true", "-recheck", "-remove-empty-groups"],
            (False, *[True] * 4),
        ),
        (
            ["--children=0", "--threads=t", "--gather-smaps", "--recheck=T", "--remove-empty-groups=1"],
            (False, *[True] * 4),
        ),
        (["-threads=false", "--gather-smaps=False"], (True, False, False, False, False)),
    ],
    ids=["none", "one_dash", "two_dashes", "off"],
)
def test_switches_are_written_as_gos_flags(arguments: list[str], expected: tuple[bool, ...]) -> None:
    flags = vars(make_parser().parse_args(arguments))

    names = ("children", "threads", "gather_smaps", "recheck", "remove_empty_groups")
    assert tuple(flags[name] for name in names) == expected


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("-threads=maybe", "write true or false"),
        ("-recheck-with-time-limit=5", "is not a duration"),
        ("--collector.process.top=-1", "a number of things is not negative"),
    ],
)
def test_a_wrong_value_is_refused(argument: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        make_parser().parse_args([argument])

    assert reason in capsys.readouterr().err


def test_a_variable_switches_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHEAL_GATHER_SMAPS", "true")
    monkeypatch.setenv("SELFHEAL_CHILDREN", "false")

    flags = vars(make_parser().parse_args(["-threads"]))
    assert (flags["gather_smaps"], flags["children"], flags["threads"]) == (True, False, True)


def test_names_are_groups_without_a_file() -> None:
    found = values(create("process", "-procnames=queue,nobody", "-children=false")())

    groups = {series: value for series, value in found.items() if series.startswith(f"{PREFIX}num_procs")}
    assert groups == {
        f'{PREFIX}num_procs{{groupname="queue"}}': "2",
        f'{PREFIX}num_procs{{groupname="nobody"}}': "0",
    }


def test_a_mapping_adds_what_is_captured_of_the_command_line() -> None:
    found = values(create("process", r"-namemapping=queue,--name=(\w+)|(zzz),web,no(thing)", "-children=false")())

    groups = {series: value for series, value in found.items() if series.startswith(f"{PREFIX}num_procs")}
    assert groups == {
        f'{PREFIX}num_procs{{groupname="queue:mail"}}': "1",
        f'{PREFIX}num_procs{{groupname="queue:pdf"}}': "1",
    }


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (
            (f"--config.path={GROUPS}", "--procnames=a"),
            "--config.path cannot be used with --procnames or --namemapping",
        ),
        (("--namemapping=a,b,c",), "--namemapping: names and expressions must stand in turn"),
        (("--namemapping=a,",), "--namemapping: 'a' has no other"),
        (("--namemapping=a,(?=x)",), "is not a regular expression (RE2 refuses it: invalid perl operator: (?="),
    ],
)
def test_what_contradicts_itself_is_refused(flags: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        create("process", *flags)

    assert reason in str(caught.value)


def test_the_file_is_told_so_that_a_reload_knows_it() -> None:
    assert process.files(make_parser().parse_args([f"-config.path={GROUPS}"])) == [GROUPS]
    assert process.files(make_parser().parse_args([])) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("{{.StartTime}}", "2023-11-14 22:14:01.5 +0000 UTC"),
        ("{{.Cgroups}}", "[/ /system.slice/queue.service]"),
        ("{{.Username}}-{{.PID}}", "root-900"),
    ],
)
def test_names_hold_what_process_exporter_knows(tmp_path: Path, name: str, expected: str) -> None:
    procfs = copied_procfs(tmp_path)
    stat = procfs / "900/stat"
    head, _, tail = stat.read_text().rpartition(")")
    words = tail.split()
    words[19] = "4150"
    stat.write_text(f"{head}) {' '.join(words)}\n")
    (procfs / "900/status").write_text("Name:\tqueue\nUid:\t5\t0\t5\t5\n")
    for pid in (900, 901):
        (procfs / str(pid) / "cgroup").write_text("1:name=systemd:/\n0::/system.slice/queue.service\n")

    flag = groups_file(tmp_path, f"process_names: [{{name: '{name}', cmdline: [--name=mail]}}]")
    found = values(create("process", flag, procfs=procfs)())

    assert f'{PREFIX}num_procs{{groupname="{expected}"}}' in found
