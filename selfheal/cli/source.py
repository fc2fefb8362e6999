"""Where answers come from: the API of a running remediator, or its store, read-only, when none answers."""

from __future__ import annotations

import http.client
import json
import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

from remediator.errors import RemediatorError
from remediator.locale import Catalog
from remediator.model import Json
from selfheal.cli.answers import NOTHING_TO_ASK, Failed, Screen
from selfheal.cli.place import STORE, Place
from selfheal.cli.stored import StoreSource

TIMEOUT = 5.0
"""Seconds after which a remediator that does not answer counts as hung, and the store is read instead."""
LONGEST = 64 * 1024 * 1024


class Source(Protocol):
    """What the commands ask; the values are those of the API, which with `only_open` tells the true `count` too."""

    name: str
    """`api` or `store`."""

    def remediations(
        self, limit: int, cursor: str | None = None, state: str | None = None, *, only_open: bool = False
    ) -> Json:
        """Return a page of remediations, or of those that are not over."""
        ...

    def remediation(self, id: str) -> Json | None:
        """Return one remediation, or None."""
        ...

    def alerts(self, limit: int, cursor: str | None = None, *, only_open: bool = False) -> Json:
        """Return a page of alerts, or of those that are on and no heartbeat."""
        ...

    def approvals(self, limit: int, state: str | None = None) -> Json:
        """Return the newest requests to people."""
        ...

    def status(self) -> Json:
        """Return the state of the whole."""
        ...

    def breakers(self) -> list[Json]:
        """Return the circuit breakers that ever moved."""
        ...

    def trust(self) -> list[Json]:
        """Return what each playbook has earned."""
        ...


class NoAnswer(Exception):
    """The remediator did not answer, or what answered there is none."""


class Refusal(Exception):
    """The remediator answered with an error: its status and detail."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class ApiSource:
    """A running remediator."""

    name = "api"

    def __init__(self, place: Place, url: str) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        # listening on every address means: also on this machine's own
        self._host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        self._port = parts.port or 80
        self._context = _own_address() if parts.scheme == "https" else None
        self._headers = {"Accept": "application/json", "Connection": "close"}
        if place.token is not None:
            self._headers["Authorization"] = f"Bearer {place.token.reveal()}"

    def ask(self, method: str, path: str, body: Json | None = None) -> Json:
        """Send one request, return the JSON answer. Raise NoAnswer, or Refusal with what the API said."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
        if self._context is not None:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT, context=self._context)
        headers = dict(self._headers)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            answer: Any = json.loads(response.read(LONGEST))
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            raise NoAnswer(str(error)) from error
        finally:
            connection.close()
        if not isinstance(answer, dict):
            raise NoAnswer("the answer is no object")
        if response.status >= 400:
            raise Refusal(response.status, str(answer.get("detail", "")))
        return answer

    def remediations(
        self, limit: int, cursor: str | None = None, state: str | None = None, *, only_open: bool = False
    ) -> Json:
        """Return a page of remediations, or of those that are not over."""
        query = _query(limit=limit, cursor=cursor, state=state, open="true" if only_open else None)
        return self.ask("GET", f"/api/v1/remediations{query}")

    def remediation(self, id: str) -> Json | None:
        """Return one remediation, or None."""
        try:
            return self.ask("GET", f"/api/v1/remediations/{quote(id, safe='')}")
        except Refusal as refusal:
            if refusal.status == 404:
                return None
            raise

    def alerts(self, limit: int, cursor: str | None = None, *, only_open: bool = False) -> Json:
        """Return a page of alerts, or of those that are on and no heartbeat."""
        query = _query(limit=limit, cursor=cursor, open="true" if only_open else None)
        return self.ask("GET", f"/api/v1/alerts{query}")

    def status(self) -> Json:
        """Return the state of the whole."""
        return self.ask("GET", "/api/v1/status")

    def breakers(self) -> list[Json]:
        """Return the circuit breakers that ever moved."""
        found: list[Json] = self.ask("GET", "/api/v1/breakers" + _query(limit=200))["items"]
        return found

    def trust(self) -> list[Json]:
        """Return what each playbook has earned; nothing from a remediator that does not know it yet."""
        found: list[Json] = []
        cursor: str | None = None
        while True:
            try:
                page = self.ask("GET", "/api/v1/trust" + _query(limit=200, cursor=cursor))
            except Refusal as refusal:
                if refusal.status == 404:
                    return []
                raise
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                return found

    def move_rung(self, name: str, way: str, why: str, who: str) -> Json:
        """Promote (`promote`) or demote (`demote`) a playbook; return how it stands then."""
        return self.ask("POST", f"/api/v1/trust/{quote(name, safe='')}/{way}", {"why": why, "who": who})

    def reset_breaker(self, name: str, why: str, who: str) -> Json:
        """Close a circuit breaker; return all of them."""
        return self.ask("POST", f"/api/v1/breakers/{quote(name, safe='')}/reset", {"why": why, "who": who})

    def approvals(self, limit: int, state: str | None = None) -> Json:
        """Return the newest requests to people, each with its link if links are given."""
        return self.ask("GET", "/api/v1/approvals" + _query(limit=limit, state=state))

    def approval(self, id: str) -> Json | None:
        """Return one request, or None."""
        try:
            return self.ask("GET", f"/api/v1/approvals/{quote(id, safe='')}")
        except Refusal as refusal:
            if refusal.status == 404:
                return None
            raise

    def answer(self, id: str, way: str, said: Json) -> Json:
        """Say yes (`grant`) or no (`refuse`) to a request; return it."""
        return self.ask("POST", f"/api/v1/approvals/{quote(id, safe='')}/{way}", said)

    def run_playbook(self, name: str, asked: Json) -> Json:
        """Run a playbook, or only try it; return what became of that."""
        return self.ask("POST", f"/api/v1/playbooks/{quote(name, safe='')}/run", asked)

    def settle(self, id: str, how: str, who: str) -> Json:
        """Say what became of an unknown outcome; return the remediation."""
        return self.ask("POST", f"/api/v1/remediations/{quote(id, safe='')}/settle", {"as": how, "who": who})

    def cancel(self, id: str, who: str) -> Json:
        """Call a remediation off before its next effect; return it."""
        return self.ask("POST", f"/api/v1/remediations/{quote(id, safe='')}/cancel", {"who": who})


def modes_in_force(place: Place) -> dict[str, str] | None:
    """Return name and mode of the playbooks that the running remediator has; None when none answers."""
    if place.url is None:
        return None
    try:
        found: dict[str, str] = ApiSource(place, place.url).status().get("playbooks") or {}
        return found
    except (NoAnswer, Refusal):
        return None


@contextmanager
def asking(place: Place, texts: Catalog) -> Iterator[Source]:
    """Give the running remediator, else its store. Raise Failed, in words, for all that can go wrong inside."""
    try:
        yield _choose(place, texts)
    except NoAnswer as error:
        raise Failed(texts.say("cli.no_answer", error=str(error))) from error
    except Refusal as error:
        raise Failed(_refused(place, error, texts)) from error
    except (RemediatorError, sqlite3.Error, OSError) as error:
        raise Failed(texts.say("cli.store_unreadable", state=place.state, error=str(error)), NOTHING_TO_ASK) from error


@contextmanager
def saying(place: Place, texts: Catalog, not_found: str = "") -> Iterator[ApiSource]:
    """Give the running remediator to who says something to it. Raise Failed, in words, for all that can go wrong.

    `not_found` is what a person is told when it knows nothing by that name; without it that is told as any refusal.
    """
    try:
        yield running(place, texts)
    except NoAnswer as error:
        raise Failed(texts.say("cli.no_answer", error=str(error))) from error
    except Refusal as error:
        if error.status == 404 and not_found:
            raise Failed(not_found) from error
        raise Failed(texts.say("cli.refused", status=error.status, detail=str(error))) from error


def running(place: Place, texts: Catalog) -> ApiSource:
    """Return the running remediator. Raise Failed if none answers."""
    if place.url is not None:
        source = ApiSource(place, place.url)
        try:
            source.status()
        except NoAnswer:
            pass
        except Refusal as error:
            raise Failed(_refused(place, error, texts)) from error
        else:
            return source
    raise Failed(texts.say("cli.not_running", state=place.state), NOTHING_TO_ASK)


def say_source(screen: Screen, source: str, place: Place, texts: Catalog) -> None:
    """Say in one line who answers: the running remediator, or only its store."""
    if source == "store":
        screen.line(screen.paint(texts.say("cli.from_store", state=place.state), "busy"))


def _choose(place: Place, texts: Catalog) -> Source:
    if place.url is not None:
        source = ApiSource(place, place.url)
        try:
            source.status()
            return source
        except NoAnswer:
            # stopped without a word, or hung: what it stored can still be read
            pass
    if not (place.state / STORE).exists():
        raise Failed(texts.say("cli.no_store", state=place.state), NOTHING_TO_ASK)
    return StoreSource(place)


def _refused(place: Place, error: Refusal, texts: Catalog) -> str:
    if error.status in (401, 403) and place.token_problem:
        return texts.say("cli.token_problem", problem=place.token_problem)
    if error.status in (401, 403):
        return texts.say("cli.token_refused", detail=str(error))
    return texts.say("cli.refused", status=error.status, detail=str(error))


def _own_address() -> ssl.SSLContext:
    """Return how to speak with this machine itself: its state folder, which only its owner can write, names the port.

    The certificate is for the name by which others know this machine, so it cannot be compared with that address.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _query(**values: object) -> str:
    return "?" + urlencode({key: value for key, value in values.items() if value is not None})
