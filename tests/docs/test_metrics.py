"""Every metric of ours that pages, rules, playbooks and examples name is exported by one of our programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

from remediator.model.states import Mode
from remediator.web.metrics import Metrics, Readings
from tests.docs.pages import TOP, name_of, pages
from tests.exporter.catalogue import entries

# a series with selectors, or a family of them with `*`; modules, files and folders have a dot, slash or hyphen beside
_NAMED = re.compile(r"(?<![\w./-])((?:selfheal|namedprocess)_[a-z0-9_]*[a-z0-9*])(?![\w/-]|\.[a-z])")
_SUFFIXES = ("_total", "_bucket", "_sum", "_count", "_info")

NOT_OURS = {
    ("docs/how-to/write-a-collector.md", "selfheal_swap_size_bytes"): "the collector that this page writes exports it",
    ("docs/how-to/write-a-collector.md", "selfheal_swap_used_bytes"): "the collector that this page writes exports it",
}


def _sources() -> list[Path]:
    folders = ("rules", "remediator/playbooks/shipped", "examples")
    written = [file for folder in folders for file in TOP.joinpath(folder).rglob("*.yml")]
    return [page for page in pages() if page.name != "CHANGELOG.md"] + sorted(written)


def _named_in(text: str) -> Iterator[str]:
    yield from dict.fromkeys(_NAMED.findall(text))


@cache
def _exported() -> frozenset[str]:
    """Return every name that a program exports, with and without what its kind adds."""
    metrics = Metrics("0")
    metrics.show_playbooks({"any": Mode.OBSERVE})
    metrics.read_from(Readings(dict, int, float, bool, selftest_age=float))
    names = {entry.name for entry in entries()} | {family.name for family in metrics.registry.collect()}
    names |= {sample.name for family in metrics.registry.collect() for sample in family.samples}
    return frozenset(names)


def _is_exported(name: str) -> bool:
    bare = {name, *(name.removesuffix(suffix) for suffix in _SUFFIXES)}
    return not bare.isdisjoint(_exported()) or ("*" in name and any(fnmatch(one, name) for one in _exported()))


@pytest.mark.parametrize("source", _sources(), ids=name_of)
def test_every_metric_named_is_exported(source: Path) -> None:
    named = _named_in(source.read_text("utf-8"))

    unknown = [name for name in named if not _is_exported(name) and (name_of(source), name) not in NOT_OURS]

    assert unknown == []


def test_every_exception_is_needed() -> None:
    for page, name in NOT_OURS:
        assert name in _named_in(TOP.joinpath(page).read_text("utf-8"))
        assert not _is_exported(name)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('`selfheal_directory_bytes{directory="/a"} > 1`', ["selfheal_directory_bytes"]),
        ("(`selfheal_top_*`, `namedprocess_scrape_errors`)", ["selfheal_top_*", "namedprocess_scrape_errors"]),
        ("sum(rate(selfheal_alerts_total[5m])).", ["selfheal_alerts_total"]),
        ("a file selfheal_x.prom, /srv/selfheal_x/y", []),
    ],
    ids=["selector", "family", "question", "file"],
)  # fmt: skip
def test_names_are_found_where_they_stand(text: str, found: list[str]) -> None:
    assert list(_named_in(text)) == found
