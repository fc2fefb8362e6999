"""A program that stands in for systemd on a bus: it says what a JSON file says, which is read for every question.

The file holds `units`: rows of ListUnits without the last three, and `properties`: type and value by
`path interface name`, with the beginning that all of systemd's names have left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from jeepney import DBusAddress, HeaderFields, Message, MessageType, new_error, new_method_call, new_method_return
from jeepney.bus import get_connectable_addresses
from jeepney.io.blocking import DBusConnection, prep_socket

NAME = "org.freedesktop.systemd1"
ROOT = "/org/freedesktop/systemd1"
_BUS = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")


def escape(name: str) -> str:
    """Given a unit's name, return it as part of its path, as systemd writes it."""
    return "".join(c if c.isascii() and c.isalnum() else f"_{ord(c):02x}" for c in name)


def answer(message: Message, facts: Path) -> Message:
    """Given a question, return what systemd would say."""
    known = json.loads(facts.read_text())
    member = message.header.fields[HeaderFields.member]
    if member == "ListUnits":
        rows = [(*row, "", f"{ROOT}/unit/{escape(row[0])}", 0, "", "/") for row in known["units"]]
        return new_method_return(message, "a(ssssssouso)", (rows,))
    path = message.header.fields[HeaderFields.path].removeprefix(ROOT).removeprefix("/unit/")
    interface, name = (text.removeprefix(f"{NAME}.") for text in message.body)
    found = known["properties"].get(f"{path} {interface} {name}".strip())
    if member != "Get" or found is None:
        return new_error(message, "org.freedesktop.DBus.Error.UnknownProperty", "s", (name,))
    return new_method_return(message, "v", ((found[0], found[1]),))


def main() -> None:
    """Take systemd's name on the bus of the first argument and answer from the file of the second."""
    sock = prep_socket(next(get_connectable_addresses(sys.argv[1])))
    with DBusConnection(sock) as connection:
        connection.send_and_get_reply(new_method_call(_BUS, "RequestName", "su", (NAME, 4)))
        print("ready", flush=True)
        while True:
            message = connection.receive()
            if message.header.message_type is MessageType.method_call:
                connection.send(answer(message, Path(sys.argv[2])))


if __name__ == "__main__":
    main()
