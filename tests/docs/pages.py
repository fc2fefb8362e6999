"""What the tests of the documentation share: every page, its links, its code blocks."""

from __future__ import annotations

import re
from pathlib import Path

from selfheal.common.shipped import shipped

TOP = shipped()
_FOLDERS = ("", "docs", "docs/how-to", "docs/reference", "docs/alerts", "grafana", "examples", ".github")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def pages() -> list[Path]:
    """Return every page that people read, in a stable order."""
    return sorted(page for folder in _FOLDERS for page in (TOP / folder).glob("*.md"))


def name_of(page: Path) -> str:
    """Return a page's path below the top."""
    return page.relative_to(TOP).as_posix()


def read(*parts: str) -> str:
    """Return the text of a page below the top."""
    return TOP.joinpath(*parts).read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced code blocks of `language` (empty: without one)."""
    return [body for found, body in _FENCE.findall(text) if found == language]


def between(text: str, mark: str) -> str:
    """Return what stands between `<!-- mark -->` and `<!-- /mark -->`."""
    return text.split(f"<!-- {mark} -->")[1].split(f"<!-- /{mark} -->")[0]


def table(text: str) -> list[list[str]]:
    """Return the rows of the first table in `text`, without head and rule, as stripped cells."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def links(text: str) -> list[str]:
    """Return the targets of every link outside code."""
    return _LINK.findall(_FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        for heading in _HEADING.findall(_FENCE.sub("", text))
    }
