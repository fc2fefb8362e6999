"""A small container engine that speaks the part of Docker's API that we use, over a Unix socket, and can misbehave."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

CREATED = "0001-01-01T00:00:00Z"


@dataclass
class Engine:
    """What the engine holds, and how it is to behave."""

    socket: Path
    containers: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """What to answer to a verb instead of doing it; after having done it where the verb ends with `!`."""
    chunked: bool = False
    hang: threading.Event = field(default_factory=threading.Event)
    """Set: answers to what changes something do not come before it is cleared."""
    drip: bool = False
    """Answers come a byte at a time and never end."""
    health_after_start: str = ""
    dies_after_start: bool = False
    looks_alive: int = 0
    """After a start it is seen running so many times, and then it has ended; 0: it runs on."""
    count: int = 0

    def add(self, name: str, state: str = "running", **more: Any) -> dict[str, Any]:
        """Add a container as the engine inspects it."""
        self.count += 1
        found: dict[str, Any] = {
            "Id": f"{self.count:x}".rjust(2, "c") * 32,
            "Name": f"/{name}",
            "State": {"Status": state, "Running": state == "running", "Pid": 0, "StartedAt": CREATED},
            "HostConfig": {"AutoRemove": False},
            "Config": {"Image": "registry.example/shop/web:1"},
            "Path": "/usr/bin/web",
        }
        if state == "running":
            found["State"]["StartedAt"] = self._now()
        self.containers[name] = found | more
        return self.containers[name]

    def _now(self) -> str:
        self.count += 1
        return f"2026-11-21T18:00:{self.count:02d}.000000001Z"

    def find(self, name: str) -> dict[str, Any] | None:
        """Return a container by its name or the beginning of its id."""
        by_id = (each for each in self.containers.values() if each["Id"].startswith(name))
        return self.containers.get(name) or next(by_id, None)

    def be_looked_at(self, container: dict[str, Any] | None) -> None:
        """End a container that was started and has been seen often enough."""
        if container is None or not self.looks_alive or not container.get("Started"):
            return
        container["Seen"] = container.get("Seen", 0) + 1
        if container["Seen"] > self.looks_alive:
            container["State"] |= {"Status": "exited", "Running": False}

    def do(self, container: dict[str, Any], verb: str) -> int:
        """Do what is told and return the status."""
        state = container["State"]
        if verb == "start" and state["Status"] == "running":
            return 304
        if verb == "stop" and state["Status"] != "running":
            return 304
        running = verb != "stop" and not self.dies_after_start
        state |= {"Status": "running" if running else "exited", "Running": running}
        if verb != "stop":
            state["StartedAt"] = self._now()
            container["Started"] = True
            if self.health_after_start:
                state["Health"] = {"Status": self.health_after_start}
        return 204


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine: Engine

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        found = self.engine.find(self.path.split("/")[2])
        self.engine.calls.append(f"GET {self.path}")
        self.engine.be_looked_at(found)
        if "inspect" in self.engine.answers:
            return self._answer(*self.engine.answers["inspect"])
        if found is None:
            return self._answer(404, b'{"cause":"no such container","message":"no such container","response":404}')
        return self._answer(200, json.dumps(found).encode())

    def do_POST(self) -> None:
        _, _, name, verb = self.path.partition("?")[0].split("/")
        self.engine.calls.append(f"POST {self.path}")
        found = self.engine.find(name)
        if f"{verb}!" in self.engine.answers and found is not None:
            self.engine.do(found, verb)
            return self._answer(*self.engine.answers[f"{verb}!"])
        if verb in self.engine.answers:
            return self._answer(*self.engine.answers[verb])
        if found is None:
            return self._answer(404, b'{"message":"no such container"}')
        status = self.engine.do(found, verb)
        if self.engine.hang.is_set():
            # held until the test lets go, or its asker hangs up
            with suppress(OSError):
                self.connection.recv(1)
            return None
        return self._answer(status, b"")

    def _answer(self, status: int, body: bytes) -> None:
        if self.engine.drip:
            return self._drip()
        self.send_response(status)
        if self.engine.chunked and body:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(body), 7):
                part = body[start : start + 7]
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")
            return None
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if status != 204 else b"")
        return None

    def _drip(self) -> None:
        with suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{")
            self.wfile.flush()
            self.connection.recv(1)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    # a test that ends does not wait for an asker that was hung up on
    block_on_close = False


@contextmanager
def engine_at(socket: Path) -> Iterator[Engine]:
    """Run an engine that listens at a socket."""
    engine = Engine(socket)
    handler = type("Handler", (_Handler,), {"engine": engine})
    with _Server(str(socket), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield engine
        finally:
            server.shutdown()
            thread.join()
