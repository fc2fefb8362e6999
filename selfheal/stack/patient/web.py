"""A small HTTP service that stops answering when told to: it accepts connections and says nothing."""

from __future__ import annotations

import signal
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import FrameType

from selfheal.stack.patient import CEILING_SECONDS

name = "web"

_PAGE = b"# HELP patient_web_up The patient's web service answers.\n# TYPE patient_web_up gauge\npatient_web_up 1\n"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer every path with one metric."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(_PAGE)))
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, *_: object) -> None:
        """Say nothing: a line per scrape would tell nobody anything."""


class _Server(HTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that went away while we hung is no error of ours."""


def live(port: int) -> None:
    """Serve on `port` of loopback; on SIGUSR1 hang for `CEILING_SECONDS`. Never returns."""
    with _Server(("127.0.0.1", port), _Handler) as server:
        signal.signal(signal.SIGUSR1, _hang)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
        server.serve_forever(poll_interval=3600)


def _hang(_number: int, _frame: FrameType | None) -> None:
    # one thread serves, so nothing is answered while it sleeps; SIGTERM still ends it
    time.sleep(CEILING_SECONDS)
