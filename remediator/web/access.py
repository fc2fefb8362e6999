"""Who may ask what: tokens, API keys with roles, passwords, client certificates; this machine where none is set."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from remediator import config as configured
from selfheal.common.clock import Clock
from selfheal.common.files import privacy_problem
from selfheal.common.keys import ApiKey, Role, find_key, read_keys
from selfheal.common.secrets import Secret, matches_any
from selfheal.common.watched import Watched

if TYPE_CHECKING:
    from remediator.web.door import Door

logger = logging.getLogger(__name__)

LOCAL = "this machine"
TOKEN = "api token"
CERTIFICATE = "client certificate"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the name that history keeps, and what it may do."""

    name: str
    role: Role
    speaks_for_others: bool = False
    """The one token and this machine itself are used by several people, so they may say who it is."""

    def who(self, said: str | None) -> str:
        """Given whom the request names, return whom history names; a key can add to its own name, never replace it."""
        if not said or said == self.name:
            return self.name
        return said if self.speaks_for_others else f"{said} ({self.name})"


class KeysFile:
    """The keys of a file, read again when it changes; while it is broken none is valid."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Read it. Raise ValueError if it cannot be used."""
        self._path = path
        self._watched = Watched(lambda: read_keys(path), lambda _keys: (path,), clock)
        self._complaint = ""

    def __call__(self) -> tuple[ApiKey, ...]:
        """Return the keys that are valid now."""
        try:
            found = self._watched.current()
            # who may read it can change without a change of what it holds
            problem = privacy_problem(self._path)
            if problem is not None:
                raise ValueError(problem)
        except (ValueError, OSError) as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                logger.error("no API key is valid", extra={"problem": str(error)})
            return ()
        self._complaint = ""
        return found


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask what; each part is empty where it is not configured."""

    hook: tuple[Secret, ...] = ()
    api: tuple[Secret, ...] = ()
    keys: Callable[[], tuple[ApiKey, ...]] | None = None
    hmac: configured.Hmac | None = None
    door: Door | None = None
    cors: tuple[str, ...] = ()
    """Origins whose pages may use the API."""

    @property
    def asks_of_hook(self) -> bool:
        """Say whether the hook asks for a credential."""
        return bool(self.hook) or self.hmac is not None or self._passwords

    @property
    def asks_of_api(self) -> bool:
        """Say whether the API asks for a credential."""
        return bool(self.api) or self.keys is not None or self._passwords

    def may_deliver(self, credential: str, peer: str) -> bool:
        """Given the Authorization header and the peer, say whether it may post alerts; signatures come later."""
        if self.asks_of_hook:
            return _bears(credential, self.hook) or self._user(credential) is not None
        return is_loopback(peer) or self._certified

    def caller(self, credential: str, key: str, peer: str) -> Caller | None:
        """Given the headers Authorization and X-API-Key and the peer, say who uses the API, or None if nobody known."""
        if not self.asks_of_api:
            if is_loopback(peer):
                return Caller(LOCAL, Role.ADMIN, True)
            return Caller(CERTIFICATE, Role.VIEWER) if self._certified else None
        presented = key or _bearer(credential)
        # all are compared, so that the time tells nothing about which it was
        token = matches_any(presented, self.api)
        found = find_key(presented, self.keys()) if self.keys is not None else None
        if token and presented:
            return Caller(TOKEN, Role.ADMIN, True)
        if found is not None:
            return Caller(found.name, found.role)
        user = self._user(credential)
        # the name and password that Alertmanager may have for the hook must not be able to change anything
        return None if user is None else Caller(user, Role.VIEWER)

    def may_ask(self, credential: str, peer: str, key: str = "") -> bool:
        """Given the Authorization header and the peer, say whether it may use the API for reading."""
        return self.caller(credential, key, peer) is not None

    def may_look(self, credential: str, peer: str) -> bool:
        """Given the Authorization header and the peer, say whether it may see the page and the metrics."""
        if is_loopback(peer) and not self._passwords:
            return True
        return self.caller(credential, "", peer) is not None

    @property
    def _passwords(self) -> bool:
        return self.door is not None and self.door.asks_passwords

    @property
    def _certified(self) -> bool:
        return self.door is not None and self.door.verifies_clients

    def _user(self, credential: str) -> str | None:
        return None if self.door is None else self.door.knows(credential)


def is_loopback(peer: str) -> bool:
    """Say whether an address is this machine's own; anything that is no address is not."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or (mapped is not None and mapped.is_loopback)


def _bearer(credential: str) -> str:
    scheme, _, token = credential.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _bears(credential: str, tokens: tuple[Secret, ...]) -> bool:
    scheme, _, token = credential.partition(" ")
    # compared also when the scheme is wrong, so that the time tells nothing
    return matches_any(token.strip(), tokens) and scheme.lower() == "bearer"


def access_of(config: configured.Config, clock: Clock) -> Access:
    """Return who may ask what. Raise ConfigError, or ValueError for the keys, if a file cannot be used."""
    host, _ = configured.parse_listen_address(config.listen_address)
    asked = (config.hook_tokens or config.hook_hmac) and (config.api_tokens or config.api_keys)
    door = None
    if config.web_config is not None:
        # here and not above: it needs bcrypt, which nobody else does
        from remediator.web.door import Door

        door = Door(config.web_config, clock, must_ask=not asked and not configured.listens_locally(host))
    keys = None if config.api_keys is None else KeysFile(config.api_keys, clock)
    return Access(config.hook_tokens, config.api_tokens, keys, config.hook_hmac, door, config.cors)
