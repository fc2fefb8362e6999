"""A real server on loopback before a small service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from remediator.web import Access, Intake, Metrics, WebServer, make_app
from selfheal.common.secrets import Secret
from tests.pipeline.fixtures import act, bench, sources
from tests.web.site import API_TOKEN, HOOK_TOKEN, FakeService, Site

__all__ = ["act", "bench", "sources"]


@pytest.fixture
def start() -> Iterator[Callable[..., Site]]:
    """Return a function that starts a server; all are stopped at the end."""
    servers: list[WebServer] = []

    def begin(access: Access | None = None, intake: Intake | None = None, **options: Any) -> Site:
        service, metrics = FakeService(), Metrics("1.2.3")
        app = make_app(service, access or Access(), metrics, intake)
        server = WebServer(
            ("127.0.0.1", 0), app, lambda _path: metrics.count("deliveries", result="too_large"), **options
        )
        server.start()
        servers.append(server)
        return Site(service, metrics, server)

    yield begin
    for server in servers:
        server.stop()


@pytest.fixture
def site(start: Callable[..., Site]) -> Site:
    """A server without tokens, as on loopback."""
    return start(threads=16)


@pytest.fixture
def guarded(start: Callable[..., Site]) -> Site:
    """A server with a token for the hook and another for the API."""
    return start(Access((Secret(HOOK_TOKEN),), (Secret(API_TOKEN),)), threads=8)
