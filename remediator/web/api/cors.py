"""Pages of other sites: refused unless their origin is listed, and then told so as browsers want it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from werkzeug.wrappers import Request, Response

from remediator.web.problems import Problem

MAY_SEND = "Authorization, X-API-Key, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID"
MAY_SEE = "ETag, Retry-After"
REMEMBER = "600"
"""Seconds for which a browser need not ask again."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def refuse_strangers(asked: Request, origins: Collection[str]) -> None:
    """Raise Problem if a page of a site that is not listed wants to change something."""
    origin = asked.headers.get("Origin")
    if origin is None or asked.method in SAFE or _is_own(asked, origin) or origin.lower() in origins:
        return
    raise Problem(403, "Forbidden", "pages of this origin may change nothing; list it under api.cors if they shall")


def preflight(asked: Request, origins: Collection[str], methods: Iterable[str]) -> Response:
    """Given what a browser asks beforehand, and the methods of the route, return the answer. Raise Problem if not."""
    origin = asked.headers.get("Origin")
    allowed = ", ".join(sorted({*methods, "OPTIONS"}))
    if origin is None or "Access-Control-Request-Method" not in asked.headers:
        return Response(status=204, headers={"Allow": allowed})
    if origin.lower() not in origins:
        raise Problem(403, "Forbidden", "pages of this origin may not ask; list it under api.cors if they shall")
    return Response(
        status=204,
        headers={
            "Allow": allowed,
            "Access-Control-Allow-Methods": allowed,
            "Access-Control-Allow-Headers": MAY_SEND,
            "Access-Control-Max-Age": REMEMBER,
        },
    )


def tell(asked: Request, response: Response, origins: Collection[str]) -> None:
    """Put on an answer that the page may read it, if its origin is listed. Never with cookies: there are none."""
    if not origins:
        return
    response.vary.add("Origin")
    origin = asked.headers.get("Origin")
    if origin is not None and origin.lower() in origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = MAY_SEE


def _is_own(asked: Request, origin: str) -> bool:
    return origin.lower() == f"{asked.scheme}://{asked.host}".lower()
