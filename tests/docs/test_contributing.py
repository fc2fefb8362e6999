"""What CONTRIBUTING says of who removes files."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.pages import TOP, read

_REMOVES = re.compile(r"\.(?:unlink|rmdir|removedirs|rmtree)\(|\bos\.remove\(")

REMOVERS = {
    "remediator/files.py": "what is healed",
    "remediator/actions/_git.py": "its own copy of a work tree, below `state`",
    "remediator/address.py": "the note of where it listens",
    "remediator/pause.py": "a pause, and the notes of who ended it",
    "remediator/selftest.py": "the mark that a self-test is wanted",
    "remediator/store/ballast.py": "the ballast",
}
"""Module of the remediator → what it removes. All but the first remove only files that the remediator made itself."""


def test_only_the_listed_modules_of_the_remediator_remove_files() -> None:
    found = {
        path.relative_to(TOP).as_posix()
        for path in Path(TOP, "remediator").rglob("*.py")
        if _REMOVES.search(path.read_text("utf-8"))
    }

    assert found == set(REMOVERS)


def test_the_page_names_the_list_and_the_remover() -> None:
    page = " ".join(read("CONTRIBUTING.md").split())

    assert "What is healed loses files only through `remediator/files.py`" in page
    assert "`tests/docs/test_contributing.py` lists the modules" in page
