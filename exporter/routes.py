"""Which page answers which request: metrics, health, those of collectors, and a start page that links to them."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from exporter.accept import prefers_openmetrics
from exporter.encode import CONTENT_TYPE, OPENMETRICS_TYPE, Family, encode, encode_open
from exporter.limits import Scrapes
from exporter.messages import BadRequestError, Request, Response
from exporter.registry import Registry
from selfheal import __version__

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Selfheal exporter</title></head>
<body>
<h1>Selfheal exporter {version}</h1>
<ul>
<li><a href="{metrics}">Metrics</a></li>
<li><a href="/-/healthy">Health</a></li>
</ul>
<p>Collectors: {collectors}</p>
</body>
</html>
"""

Page = Callable[[Request], Response]


class Routes:
    """The pages of one exporter."""

    def __init__(
        self,
        registry: Registry,
        metrics_path: str,
        own: Callable[[], list[Family]],
        scrapes: Scrapes | None = None,
    ) -> None:
        self._registry = registry
        self._own = own
        self._scrapes = scrapes or Scrapes()
        page = _PAGE.format(
            version=html.escape(__version__),
            metrics=html.escape(metrics_path),
            collectors=html.escape(", ".join(registry.names()) or "none"),
        ).encode()
        # later entries win, so that a telemetry path of / replaces the start page
        self._pages: dict[str, Page] = {
            "/": lambda _: Response(200, page, "text/html; charset=utf-8"),
            "/-/healthy": lambda _: Response(200, b"Selfheal exporter is healthy.\n"),
            metrics_path: self._metrics,
        }

    def answer(self, request: Request) -> Response:
        """Given a request, return its answer. Raise BadRequestError if it asks for what cannot be."""
        page = self._pages.get(request.path)
        if page is None:
            return self._page_of_a_collector(request)
        if request.method not in ("GET", "HEAD"):
            return Response(405, b"405: pages here are read with GET\n", headers={"Allow": "GET, HEAD"})
        return page(request)

    def _page_of_a_collector(self, request: Request) -> Response:
        for collect in self._registry.collectors().values():
            # a bound method stands for its object; asked each time, for a reload exchanges collectors
            pages: Mapping[str, Page] = getattr(getattr(collect, "__self__", collect), "pages", {})
            for prefix, page in pages.items():
                if request.path.startswith(prefix):
                    return page(request)
        return Response(404, b"404: there is no such page; the start page is /\n")

    def _metrics(self, request: Request) -> Response:
        wanted = _wanted(request.query, self._registry.names())
        if prefers_openmetrics(request.headers.get("accept", "")):
            return self._scrapes.run(lambda: Response(200, self._registry.page(wanted, self._open), OPENMETRICS_TYPE))
        return self._scrapes.run(lambda: Response(200, self._registry.page(wanted, self._plain), CONTENT_TYPE))

    def _plain(self, families: list[Family]) -> bytes:
        return encode([*families, *self._own()])

    def _open(self, families: list[Family]) -> bytes:
        return encode_open([*families, *self._own()])


def _wanted(query: str, known: tuple[str, ...]) -> set[str] | None:
    """Given the query (`collect[]=a&collect[]=b` or `exclude[]=c`), return the collectors to ask; None means all."""
    if not query:
        return None
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
    except ValueError as error:
        raise BadRequestError("the query has too many parts") from error
    collect = {value for key, value in pairs if key == "collect[]"}
    exclude = {value for key, value in pairs if key == "exclude[]"}
    if collect and exclude:
        raise BadRequestError("collect[] and exclude[] contradict each other; use only one")
    unknown = sorted((collect | exclude) - set(known))
    if unknown:
        raise BadRequestError(f"missing or disabled collector: {unknown[0]!r}; there are {', '.join(known)}")
    if exclude:
        return set(known) - exclude
    return collect or None
