"""Pairs of include and exclude flags: RE2's meaning, and what an empty expression says."""

from __future__ import annotations

import pytest

from exporter.config import make_parser
from exporter.filters import Filter, read_filter

FLAG = "--collector.diskstats.device"


def chosen(*flags: str) -> Filter:
    return read_filter(vars(make_parser().parse_args([f"{FLAG}-{flag}" for flag in flags])), FLAG, "^loop")


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        ([], {"sda", "nvme0n1"}),
        (["exclude="], {"sda", "loop0", "nvme0n1"}),
        (["include="], {"sda", "nvme0n1"}),
        (["include=", "exclude=^s"], {"loop0", "nvme0n1"}),
        (["include=^[ls]", "exclude="], {"sda", "loop0"}),
        (["include=0$"], {"loop0"}),
    ],
    ids=["neither", "nothing excluded", "empty include", "exclude only", "include only", "include"],
)
def test_an_empty_expression_finds_nothing_as_in_node_exporter(flags: list[str], wanted: set[str]) -> None:
    chooser = chosen(*flags)

    assert {name for name in ("sda", "loop0", "nvme0n1") if chooser.wants(name)} == wanted


@pytest.mark.parametrize(
    ("flag", "old"),
    [
        ("filesystem.mount-points", "filesystem.ignored-mount-points"),
        ("filesystem.fs-types", "filesystem.ignored-fs-types"),
        ("diskstats.device", "diskstats.ignored-devices"),
    ],
)
def test_the_names_that_flags_once_had_are_taken_as_in_node_exporter(flag: str, old: str) -> None:
    flags = vars(make_parser().parse_args([f"--collector.{old}=^a"]))

    assert not read_filter(flags, f"--collector.{flag}", "^b").wants("a")
    assert read_filter(flags, f"--collector.{flag}", "^b").wants("b")


@pytest.mark.parametrize(
    ("flag", "name"), [("include=^a$", "a\n"), (r"include=^\d$", "\u0663"), ("include=[[:alpha:]]", "1")]
)
def test_expressions_mean_what_they_mean_in_go(flag: str, name: str) -> None:
    assert not chosen(flag).wants(name)
