"""Pages: those of collectors, under the names and for the time that they say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exporter.encode import Family, Metric
from exporter.messages import Request, Response
from exporter.registry import Registry
from exporter.routes import Routes
from selfheal.common.clock import ManualClock


class Paged:
    """A collector with a page of its own."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.pages: dict[str, Callable[[Request], Response]] = {"/-/paged/": self.answer}

    def __call__(self) -> list[Family]:
        return [Metric("selfheal_thing", "gauge", "A thing.").only(1)]

    def collect(self) -> list[Family]:
        """Do the same, as a method."""
        return self()

    def answer(self, request: Request) -> Response:
        """Say what was asked."""
        return Response(200, b"%b %b %b" % (self.text, request.method.encode(), request.path.encode()))


def request(path: str, method: str = "GET") -> Request:
    """Ask for a page."""
    return Request(method, path, "", {}, True)


@pytest.mark.parametrize("form", ["object", "method"])
def test_a_collector_may_have_pages(form: str) -> None:
    paged = Paged(b"mine")
    collect = paged if form == "object" else paged.collect
    routes = Routes(Registry({"other": list, "paged": collect}, ManualClock()), "/metrics", list)

    assert routes.answer(request("/-/paged/a", "POST")).body == b"mine POST /-/paged/a"
    assert routes.answer(request("/-/paged")).status == 404
    assert routes.answer(request("/-/other/")).status == 404
    # its own pages come first
    assert routes.answer(request("/-/healthy")).body == b"Selfheal exporter is healthy.\n"


def test_after_a_reload_the_new_collector_answers() -> None:
    registry = Registry({"paged": Paged(b"old")}, ManualClock())
    routes = Routes(registry, "/metrics", list)
    registry.replace({"paged": Paged(b"new")})

    assert routes.answer(request("/-/paged/")).body == b"new GET /-/paged/"


@pytest.mark.parametrize("path", ["/", "/-/healthy", "/metrics"])
def test_pages_are_only_read(path: str) -> None:
    response = Routes(Registry({}, ManualClock()), "/metrics", list).answer(request(path, "POST"))

    assert (response.status, response.headers) == (405, {"Allow": "GET, HEAD"})


def test_the_metrics_may_stand_where_the_start_page_was() -> None:
    routes = Routes(Registry({}, ManualClock()), "/", list)

    assert b"node_exporter_build_info" in routes.answer(request("/")).body


def test_the_start_page_links_to_the_others_and_names_the_collectors() -> None:
    page = Routes(Registry({"a<b": list}, ManualClock()), "/m&m", list).answer(request("/")).body.decode()

    assert 'href="/m&amp;m"' in page
    assert "a&lt;b" in page
