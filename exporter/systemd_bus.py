"""Asks systemd over D-Bus, on the system's bus or on its own socket: org.freedesktop.systemd1(5).

Imported only when something wants to know, for the library has its price in memory.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, NamedTuple

from jeepney import DBusAddress, HeaderFields, MessageType, Properties, new_method_call
from jeepney.auth import AuthenticationError
from jeepney.bus import get_connectable_addresses
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import DBusConnection, DBusConnectionBase, prep_socket
from jeepney.io.common import MessageFilters

_NAME = "org.freedesktop.systemd1"
_MANAGER = DBusAddress("/org/freedesktop/systemd1", _NAME, f"{_NAME}.Manager")


class Unit(NamedTuple):
    """One unit that systemd knows, and where to ask more about it."""

    name: str
    load_state: str
    active_state: str
    path: str


class _Connection(DBusConnection):  # type: ignore[misc]
    """A connection that has not greeted: systemd's own socket takes no greeting, and the library's has no deadline."""

    def __init__(self, sock: Any) -> None:
        DBusConnectionBase.__init__(self, sock)
        self._filters = MessageFilters()


class SystemdBus:
    """One connection; every question is answered within the seconds given or raises TimeoutError."""

    def __init__(self, address: str, seconds: float, *, private: bool = False) -> None:
        self._seconds = seconds
        try:
            sock = prep_socket(next(get_connectable_addresses(address)), timeout=seconds)
        except (AuthenticationError, RuntimeError, ValueError) as error:
            raise ConnectionError(f"cannot connect to {address}: {error}") from error
        except OSError as error:
            raise ConnectionError(f"cannot connect to {address}: {error.strerror or error}") from error
        self._connection = _Connection(sock)
        if not private:
            try:
                self._ask(message_bus.Hello())
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> SystemdBus:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def units(self) -> list[Unit]:
        """Return all units that are loaded. Raise OSError or ValueError if systemd does not tell."""
        rows = self._ask(new_method_call(_MANAGER, "ListUnits"))[0]
        # name, description, load state, active state, sub state, followed unit, path, and three about its job
        return [Unit(row[0], row[2], row[3], row[6]) for row in rows]

    def manager(self, name: str) -> Any:
        """Return a property of systemd itself, or None if it has no such. Raise OSError if it does not answer."""
        return self._property(_MANAGER, name)

    def unit(self, path: str, interface: str, name: str) -> Any:
        """Return a property of a unit, or None if it has none or is gone. Raise OSError if systemd does not answer."""
        return self._property(DBusAddress(path, _NAME, f"{_NAME}.{interface}"), name)

    def _property(self, address: Any, name: str) -> Any:
        try:
            return self._ask(Properties(address).get(name))[0][1]
        except ValueError:
            return None

    def _ask(self, call: Any) -> Any:
        try:
            reply = self._connection.send_and_get_reply(call, timeout=self._seconds)
        except TimeoutError as error:
            raise TimeoutError(f"no answer in {self._seconds:g} s") from error
        if reply.header.message_type is MessageType.error:
            raise ValueError(str(reply.header.fields.get(HeaderFields.error_name, "an error without a name")))
        return reply.body
