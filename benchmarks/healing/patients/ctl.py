"""`ctl VERB NAME [PORT]`: start, stop, restart, status or post for a service, by asking the host's first process."""

import json
import socket
import sys
from http import client as http_client


def main() -> int:
    """Do it; return the exit code."""
    verb, name = sys.argv[1:3]
    if verb == "post":
        return 0 if http(sys.argv[3], "POST", "/gc") == 204 else 1
    if verb == "restart":
        ask({"do": "stop", "name": name})
        verb = "start"
    answer = ask({"do": verb, "name": name})
    if verb != "status" or not answer.get("ok") or len(sys.argv) < 4:
        return 0 if answer.get("ok") else 1
    return 0 if http(sys.argv[3], "GET", "/") == 200 else 1


def http(port: str, method: str, path: str) -> int:
    """Return the status that the service answers, 0 without an answer."""
    connection = http_client.HTTPConnection("127.0.0.1", int(port), timeout=2)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    except (OSError, http_client.HTTPException):
        return 0


def ask(request: dict[str, object]) -> dict[str, object]:
    """Return what the first process answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.settimeout(10)
        door.connect("/srv/run/init.sock")
        door.sendall(json.dumps(request).encode() + b"\n")
        answer: dict[str, object] = json.loads(door.makefile("r", encoding="utf-8").readline())
        return answer


if __name__ == "__main__":
    sys.exit(main())
