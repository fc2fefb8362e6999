"""One Prometheus for each scrape interval, for all tests here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.grafana.server import Prometheus, serving


@pytest.fixture(scope="session")
def incidents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[int, Prometheus]]:
    """Scrape interval in seconds → a Prometheus that holds the incident."""
    with (
        serving(tmp_path_factory.mktemp("scrape15"), 15) as often,
        serving(tmp_path_factory.mktemp("scrape60"), 60) as seldom,
    ):
        yield {15: often, 60: seldom}
