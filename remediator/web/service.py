"""What the web asks of the program behind it, and who may ask; `app` implements it, tests with a small object."""

from __future__ import annotations

import ipaddress
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from remediator.model import Json
from remediator.web.payload import Delivery
from selfheal.common.secrets import Secret, matches_any


class Reader(Protocol):
    """What is read of the store, as plain values ready for JSON."""

    def list_remediations(self, limit: int, before: int | None, state: str | None = None) -> Json:
        """Return `{"items": [...], "next": cursor or None}`, newest first, with ids below `before`."""
        ...

    def remediation_detail(self, id: int) -> Json | None:
        """Return one remediation with decisions, steps, evidence and events, or None."""
        ...

    def list_alerts(self, limit: int, before: int | None) -> Json:
        """Return `{"items": [...], "next": cursor or None}`, newest first."""
        ...


class Service(Protocol):
    """The program behind the web."""

    def receive(self, delivery: Delivery) -> None:
        """Store a delivery durably. Raise StoreUnavailable if that is not possible now."""
        ...

    def reader(self) -> AbstractContextManager[Reader]:
        """Return a snapshot of the store. Raise StoreUnavailable if it cannot be read."""
        ...

    def status(self) -> Json:
        """Return what `GET /api/v1/status` says."""
        ...

    def settle(self, id: int, how: str, who: str) -> None:
        """Record that a person says `done`, `not-done` or `give-up`. Raise RemediatorError if it is not unknown."""
        ...

    def problems(self) -> list[str]:
        """Return what keeps the program from being ready, in English; empty when it is."""
        ...


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask what: the tokens of hook and API, each empty where none is configured."""

    hook: tuple[Secret, ...] = ()
    api: tuple[Secret, ...] = ()

    def may_deliver(self, credential: str, peer: str) -> bool:
        """Given the Authorization header and the peer, say whether it may post alerts."""
        return _bears(credential, self.hook) if self.hook else is_loopback(peer)

    def may_ask(self, credential: str, peer: str) -> bool:
        """Given the Authorization header and the peer, say whether it may use the API."""
        return _bears(credential, self.api) if self.api else is_loopback(peer)

    def may_look(self, credential: str, peer: str) -> bool:
        """Given the Authorization header and the peer, say whether it may see the page and the metrics."""
        return is_loopback(peer) or (bool(self.api) and _bears(credential, self.api))


def is_loopback(peer: str) -> bool:
    """Say whether an address is this machine's own; anything that is no address is not."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or (mapped is not None and mapped.is_loopback)


def _bears(credential: str, tokens: tuple[Secret, ...]) -> bool:
    scheme, _, token = credential.partition(" ")
    # compared also when the scheme is wrong, so that the time tells nothing
    return matches_any(token.strip(), tokens) and scheme.lower() == "bearer"
