"""process-exporter's default page and flags against ours: nothing is missing without a reason."""

from __future__ import annotations

import re
import subprocess
from contextlib import ExitStack

import pytest

from exporter.config import make_parser
from selfheal.stack.oracles import NEWER
from tests.exporter.oracle.pages import Page, label_names
from tests.exporter.oracle.running import ours, process_exporter, running
from tests.exporter.oracle.table import PROCESS, Way, unexplained
from tests.tools import oracle

EVERYTHING = "process_names: [{name: '{{.Comm}}', cmdline: ['.+']}]\n"
_DETAILS = ("-threads=true", "-gather-smaps=true")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, Page]:
    """The pages of both with the configuration that Debian's package has, threads and smaps asked for."""
    groups = tmp_path_factory.mktemp("groups") / "all.yml"
    groups.write_text(EVERYTHING)
    flags = (f"-config.path={groups}", *_DETAILS)
    with ExitStack() as stack:
        theirs = stack.enter_context(running(process_exporter(NEWER[PROCESS], *flags)))
        return theirs.ask(), stack.enter_context(running(ours(*flags))).ask()


def test_every_family_of_its_page_is_in_ours_or_has_a_reason(pages: tuple[Page, Page]) -> None:
    theirs, mine = pages

    assert unexplained(PROCESS, theirs.keys() - mine.keys(), Way.MISSING) == []
    assert len(theirs.keys() & mine.keys()) > 25


def test_every_family_of_ours_under_its_prefix_is_in_its_page_or_has_a_reason(pages: tuple[Page, Page]) -> None:
    theirs, mine = pages

    added = [name for name in mine.keys() - theirs.keys() if name.startswith("namedprocess_")]

    assert unexplained(PROCESS, added, Way.ADDED) == []


def test_labels_and_types_are_the_same(pages: tuple[Page, Page]) -> None:
    theirs, mine = pages
    both = {name for name in theirs.keys() & mine.keys() if name.startswith("namedprocess_")}

    assert {name: mine[name].kind for name in both} == {name: theirs[name].kind for name in both}
    assert {name: label_names(mine[name]) for name in both} == {name: label_names(theirs[name]) for name in both}


def test_every_flag_is_in_ours_with_one_dash_as_there_or_has_a_reason() -> None:
    done = subprocess.run([oracle(PROCESS, NEWER[PROCESS]), "-help"], capture_output=True, timeout=20, check=False)
    theirs = set(re.findall(r"^  (-[\w.-]+)", (done.stdout + done.stderr).decode(), re.MULTILINE))
    known = make_parser()._option_string_actions.keys()

    assert unexplained(PROCESS, theirs - known, Way.FLAG) == []
    assert len(theirs) > 12
