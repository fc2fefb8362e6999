"""node_exporter's default page, collectors and flags against ours: nothing is missing, or added, without a reason."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from exporter.collectors import COLLECTORS
from exporter.config import make_parser
from selfheal.stack.oracles import NEWER
from tests.exporter.oracle.pages import Page, label_names
from tests.exporter.oracle.running import Exporter, node_exporter, ours, running
from tests.exporter.oracle.shared import OFF, ON, common
from tests.exporter.oracle.table import DIFFERENCES, NODE, NOT_OURS, Way, unexplained
from tests.exporter.oracle.trees import NO_TEXTFILES, SAME_MOUNTS
from tests.tools import oracle

# flags of a collector begin with its name
_FLAG = re.compile(r"^ +(--(?:collector\.(\w+))?[\w.-]*)", re.MULTILINE)


@cache
def help_text() -> str:
    """Return what node_exporter says of its flags; which stream it takes is its own affair."""
    binary = oracle(NODE, NEWER[NODE])
    done = subprocess.run([binary, "--help"], capture_output=True, text=True, timeout=20, check=False)
    return done.stdout + done.stderr


@pytest.fixture(scope="module", params=[(), ("--web.disable-exporter-metrics",)], ids=["all", "host-only"])
def exporters(request: pytest.FixtureRequest) -> Iterator[tuple[Exporter, Exporter]]:
    """Both with and without what they tell of themselves; other flags only undo Debian's own defaults."""
    flags = (SAME_MOUNTS, NO_TEXTFILES, *request.param)
    with ExitStack() as stack:
        theirs = stack.enter_context(running(node_exporter(NEWER[NODE], *flags)))
        yield theirs, stack.enter_context(running(ours(*flags)))


@pytest.fixture(scope="module")
def pages(exporters: tuple[Exporter, Exporter]) -> tuple[Page, Page]:
    """The default pages of both."""
    theirs, mine = exporters
    return theirs.ask(), mine.ask()


def test_every_family_of_the_default_page_is_in_ours_or_has_a_reason(
    exporters: tuple[Exporter, Exporter], pages: tuple[Page, Page]
) -> None:
    theirs, mine = pages
    of_others = exporters[0].ask(*(name for name in NOT_OURS if name in ON))

    missing = theirs.keys() - mine.keys() - of_others.keys()

    assert unexplained(NODE, missing, Way.MISSING) == []
    assert len(theirs.keys() & mine.keys()) > 150


def test_every_family_of_ours_under_its_prefix_is_in_its_page_or_has_a_reason(pages: tuple[Page, Page]) -> None:
    theirs, mine = pages

    added = [name for name in mine.keys() - theirs.keys() if name.startswith("node_")]

    assert unexplained(NODE, added, Way.ADDED) == []


def test_labels_and_types_of_the_default_page_are_the_same(pages: tuple[Page, Page]) -> None:
    theirs, mine = pages
    both = theirs.keys() & mine.keys()

    assert {name: mine[name].kind for name in both} == {name: theirs[name].kind for name in both}
    assert {name: label_names(mine[name]) for name in both} == {name: label_names(theirs[name]) for name in both}


def test_the_collectors_are_those_that_its_help_lists() -> None:
    listed = re.findall(r"--collector\.(\w+)\s+Enable the \w+\s+collector\s+\(default:\s+(\w+)\)", help_text())

    assert {name: state == "enabled" for name, state in listed} == dict.fromkeys(ON, True) | dict.fromkeys(OFF, False)


def test_every_collector_is_in_ours_or_has_a_reason() -> None:
    assert set(NOT_OURS) == {*ON, *OFF} - COLLECTORS.keys()


def test_a_collector_is_on_by_default_where_it_is_there_or_has_a_reason() -> None:
    others = {name for name in common() if COLLECTORS[name].enabled != (name in ON)}

    assert unexplained(NODE, others, Way.DEFAULT) == []
    assert {each.names for each in DIFFERENCES if each.way is Way.DEFAULT} == others


def test_every_flag_of_what_both_have_is_in_ours_or_has_a_reason() -> None:
    known = make_parser()._option_string_actions
    theirs = {flag for flag, collector in _FLAG.findall(help_text()) if collector not in NOT_OURS}

    assert unexplained(NODE, theirs - known.keys(), Way.FLAG) == []
    assert len(theirs) > 60


def test_no_reason_is_given_for_what_is_the_same() -> None:
    known = make_parser()._option_string_actions
    flags = {flag for flag, _ in _FLAG.findall(help_text())} - known.keys()

    with ExitStack() as stack:
        theirs = stack.enter_context(running(node_exporter(NEWER[NODE], SAME_MOUNTS, NO_TEXTFILES))).ask()
        mine = stack.enter_context(running(ours(SAME_MOUNTS, NO_TEXTFILES))).ask()
    differ = {Way.MISSING: theirs.keys() - mine.keys(), Way.ADDED: mine.keys() - theirs.keys(), Way.FLAG: flags}

    meant = [each for each in DIFFERENCES if each.exporter == NODE and each.way in differ]

    assert [
        each.names for each in meant if not any(each.covers(NODE, name, each.way) for name in differ[each.way])
    ] == []
