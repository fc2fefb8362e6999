"""`/-/healthy`, `/-/ready` and `/metrics`: for machines that watch this one."""

from __future__ import annotations

from flask import Flask, Response, request

from remediator.web.hooks import peer_of
from remediator.web.metrics import Metrics
from remediator.web.problems import Problem
from remediator.web.service import Access, Service

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def add_routes(flask: Flask, service: Service, access: Access, metrics: Metrics) -> None:
    """Add the routes."""

    @flask.get("/-/healthy")
    def _healthy() -> Response:
        return Response("healthy\n", content_type="text/plain; charset=utf-8")

    @flask.get("/-/ready")
    def _ready() -> Response:
        problems = service.problems()
        if not problems:
            return Response("ready\n", content_type="text/plain; charset=utf-8")
        told = problems if may_look(access) else ["not ready"]
        return Response("".join(f"{line}\n" for line in told), 503, content_type="text/plain; charset=utf-8")

    @flask.get("/metrics")
    def _metrics() -> Response:
        look(access)
        return Response(metrics.render(), content_type=METRICS_TYPE)


def may_look(access: Access) -> bool:
    """Say whether the present request may see the page and the metrics."""
    return access.may_look(request.headers.get("Authorization", ""), peer_of(request.environ))


def look(access: Access) -> None:
    """Raise Problem unless the present request may see the page and the metrics."""
    if not may_look(access):
        raise Problem(401, "Unauthorized", "from another machine the API's bearer token is needed")
