"""Writes the OpenAPI 3.1 document from the table of routes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from remediator.model import Json
from remediator.web.api.call import Route
from remediator.web.api.schemas import SCHEMAS
from selfheal import __version__

PREFIX = "/api/v1"
PROBLEM = "application/problem+json"
_PLACE = re.compile(r"<(\w+)>")


def document(routes: Iterable[Route]) -> Json:
    """Given the table, return the document."""
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(PREFIX + _PLACE.sub(r"{\1}", route.path), {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Selfheal remediator",
            "version": __version__,
            "description": "What was decided, done and proven; and what people may say to it.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        # any one of these; none is asked on loopback while none is configured
        "security": [{"key": []}, {"bearer": []}, {"basic": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic", "description": "may read only"},
            },
            "schemas": SCHEMAS,
        },
    }


def _operation(route: Route) -> Json:
    found: Json = {
        "operationId": _name(route),
        "summary": route.summary,
        "description": f"Least role: {route.role.value}.",
        "tags": [route.path.split("/")[1].removesuffix(".json")],
        "parameters": _parameters(route),
        "responses": {
            "200": {"description": "It is so.", "content": _content(route)},
            "default": {
                "description": "It is not so; the detail says why.",
                "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
    }
    if route.method == "GET":
        found["responses"]["304"] = {"description": "Nothing has changed since the ETag in If-None-Match."}
    if route.body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": _body(route)}}}
    return found


def _content(route: Route) -> Json:
    content: Json = {route.kind: {"schema": {"$ref": f"#/components/schemas/{route.schema}"}}}
    if route.path == "/events":
        content["text/event-stream"] = {"schema": {"type": "string"}}
    return content


def _name(route: Route) -> str:
    words = [word for word in re.split(r"[/_.<>]+", route.path) if word and word not in ("json",)]
    return "_".join([route.method.lower(), *words])


def _parameters(route: Route) -> list[Json]:
    found: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PLACE.findall(route.path)
    ]
    found += [
        {
            "name": field.name,
            "in": "query",
            "required": field.required,
            "description": field.meaning,
            "schema": {key: value for key, value in field.schema().items() if key != "description"},
        }
        for field in route.query
    ]
    if route.method == "POST":
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "Sent again with the same body within a day, the request has the first one's answer.",
                "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
            }
        )
    return found


def _body(route: Route) -> Json:
    fields = route.body or ()
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [field.name for field in fields if field.required],
        "properties": {field.name: field.schema() for field in fields},
    }
