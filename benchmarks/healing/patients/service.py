"""A small web service, `service KIND PORT`, that is well until SIGUSR1 and then ill in the way that KIND names."""

import os
import signal
import socket
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ILL = threading.Event()
KEPT: list[socket.socket] = []
GARBAGE: list[bytes] = []
"""What is let go when `POST /gc` asks for it."""
SLOW_SECONDS = 1.3
"""Longer than the rule allows, shorter than the scrape's timeout."""


class Page(BaseHTTPRequestHandler):
    """What is answered."""

    def do_GET(self) -> None:
        """Answer as well as it can."""
        kind = sys.argv[1] if ILL.is_set() else ""
        if kind == "slow":
            time.sleep(SLOW_SECONDS)
        body = b"# out of order\n" if kind == "wrong" else b"# all is well\n"
        self.send_response(500 if kind in ("error", "squatter") else 200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Collect the garbage."""
        GARBAGE.clear()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Accepts no connection any more once it hangs."""

    daemon_threads = True
    allow_reuse_address = True

    def server_bind(self) -> None:
        """Take the port."""
        # HTTPServer asks the resolver for our name, and there is none here to answer
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "service", self.server_address[1]

    def get_request(self) -> tuple[socket.socket, object]:
        """Return the next connection."""
        while ILL.is_set() and sys.argv[1] == "hung":
            time.sleep(1)
        return super().get_request()


def fall_ill(_number: int, _frame: object) -> None:
    """Be ill from now on."""
    kind = sys.argv[1]
    ILL.set()
    if kind == "down":
        os._exit(70)
    if kind == "sockets":
        leave_sockets_half_closed()
    if kind == "garbage":
        GARBAGE.append(b"\x5a" * (120 * 1024 * 1024))
    if kind == "udp":
        leave_datagrams_unread()


def leave_sockets_half_closed() -> None:
    """Be called by forty who hang up, and never close our side."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        for _ in range(40):
            caller = socket.create_connection(listener.getsockname())
            KEPT.append(listener.accept()[0])
            caller.close()


def leave_datagrams_unread() -> None:
    """Be sent what nobody reads."""
    reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    reader.bind(("127.0.0.1", 0))
    KEPT.append(reader)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(120):
            sender.sendto(b"x" * 256, reader.getsockname())


def main() -> None:
    """Serve, or be a decoy."""
    witness = os.environ.get("WITNESS")
    if witness:
        note_signals(Path(witness))
    signal.signal(signal.SIGUSR1, fall_ill)
    if sys.argv[1] == "squatter":
        ILL.set()
    Server(("0.0.0.0", int(sys.argv[2])), Page).serve_forever(poll_interval=0.1)


def note_signals(path: Path) -> None:
    """Live on, and write down the name of each signal."""

    def remember(number: int, _frame: object) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{signal.Signals(number).name}\n")

    for number in (1, 2, 3, 10, 12, 15, 17, 18):
        signal.signal(number, remember)
    start = Path("/proc/self/stat").read_text("latin-1").rpartition(")")[2].split()[19]
    Path(f"{path}.who").write_text(f"{os.getpid()} {start}", "utf-8")
    path.touch()
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
