"""The only outgoing HTTP of the remediator: JSON over kept connections, bounded, without redirects or proxies.

What goes wrong becomes SourceUnavailable, whose text names the source and never a credential.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError, SSLError, TimeoutError

from remediator.config import Endpoint
from remediator.errors import SourceUnavailable

LARGEST_ANSWER = 64 * 1024 * 1024
_LONGEST_URL = 4_000
_CHUNK = 64 * 1024
_CONNECTIONS = 32
_FORM = "application/x-www-form-urlencoded"


class Client:
    """One Prometheus or Alertmanager; may be used by many threads at once; connections are kept and shared."""

    def __init__(
        self,
        base_url: str,
        *,
        source: str = "prometheus",
        timeout: float = 5.0,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = LARGEST_ANSWER,
        verify: bool | str = True,
        certificate: tuple[str, str] | None = None,
    ) -> None:
        """Given the address, which may hold user and password, prepare. Raise ValueError if it is no http(s) URL.

        `timeout` is seconds to connect and again between two reads; `verify` is a CA file or whether to check the
        server's certificate; `certificate` is our own certificate and key file.
        """
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the address of a source must be http://host[:port] or https://host[:port]")
        # whoever prints the address must not print a password with it
        self.base_url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
        self.source = source
        self._timeout = timeout
        self._max_bytes = max_bytes
        # uncompressed: on loopback compressing costs more than it saves, and `max_bytes` is then what is held
        self._headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "selfheal"}
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
        self._headers |= dict(headers or {})
        tls: dict[str, Any] = {}
        if parts.scheme == "https":
            tls["cert_reqs"] = "CERT_REQUIRED" if verify else "CERT_NONE"
            tls["ca_certs"] = verify if isinstance(verify, str) else None
            tls["cert_file"], tls["key_file"] = certificate or (None, None)
        # a pool by itself knows no environment, no proxies, no cookies and no netrc
        self._pool = urllib3.connection_from_url(self.base_url, maxsize=_CONNECTIONS, timeout=timeout, **tls)
        self._path = parts.path.rstrip("/")

    def get(self, path: str, parameters: Mapping[str, str] | list[tuple[str, str]] | None = None) -> bytes:
        """Given a path below the address and query parameters, return the body of a 200. Raise SourceUnavailable."""
        return b"".join(self.get_parts(path, parameters))

    def get_parts(
        self, path: str, parameters: Mapping[str, str] | list[tuple[str, str]] | None = None
    ) -> Iterator[bytes]:
        """Yield the body of a 200 as it comes: for answers too large to hold. Raise SourceUnavailable at any part."""
        query = "?" + urlencode(parameters or {}, quote_via=quote) if parameters else ""
        return self._parts("GET", path + query, None)

    def get_json(self, path: str, parameters: Mapping[str, str] | list[tuple[str, str]] | None = None) -> Any:
        """Return the body of a 200, read as JSON. Raise SourceUnavailable, also when it is no JSON."""
        return self.read_json(self.get(path, parameters))

    def ask(self, path: str, parameters: Mapping[str, str]) -> bytes:
        """Ask a question that changes nothing and may be too long for a URL: then it goes as a form by POST."""
        return b"".join(self.ask_parts(path, parameters))

    def ask_parts(self, path: str, parameters: Mapping[str, str]) -> Iterator[bytes]:
        """Ask as `ask` does, and yield the body as it comes."""
        form = urlencode(parameters, quote_via=quote)
        if len(form) <= _LONGEST_URL:
            return self._parts("GET", f"{path}?{form}", None)
        return self._parts("POST", path, form.encode())

    def tell(self, method: str, path: str, document: Any = None) -> bytes:
        """Send what changes something there, once: it is never repeated. Return the body of a 200.

        Raise SourceUnavailable; it may have arrived all the same.
        """
        body = None if document is None else json.dumps(document).encode()
        try:
            return b"".join(self._once(method, path, body, "application/json"))
        except HTTPError as error:
            raise self.unavailable(_in_words(error)) from None

    def read_json(self, body: bytes) -> Any:
        """Given a body, return it read as JSON. Raise SourceUnavailable if it is none."""
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise self.unavailable("the answer is no JSON") from error

    def unavailable(self, detail: str) -> SourceUnavailable:
        """Return the error that says that this source gave no usable answer."""
        return SourceUnavailable(self.source, f"{self.base_url}: {detail}")

    def close(self) -> None:
        """Close every kept connection."""
        self._pool.close()

    def _parts(self, method: str, path: str, form: bytes | None) -> Iterator[bytes]:
        """Yield the body of a 200. Raise SourceUnavailable, also in the middle of it."""
        begun = False
        for tries_left in (1, 0):
            try:
                for part in self._once(method, path, form):
                    begun = True
                    yield part
            except HTTPError as error:
                # the far side may have closed an idle connection just as we wrote; nothing here changes anything there
                may_repeat = isinstance(error, (ProtocolError, NewConnectionError)) and tries_left and not begun
                if not may_repeat:
                    raise self.unavailable(_in_words(error)) from None
            else:
                return

    def _once(self, method: str, path: str, form: bytes | None, kind: str = _FORM) -> Iterator[bytes]:
        headers = dict(self._headers)
        if form is not None:
            headers["Content-Type"] = kind
        response = self._pool.urlopen(
            method, self._path + path, form, headers, retries=False, redirect=False, preload_content=False
        )
        try:
            if response.status != 200:
                raise self.unavailable(self._refusal(response))
            yield from self._read(response)
        except BaseException:
            # what is left unread must not be the next answer of this connection
            response.close()
            raise
        response.release_conn()

    def _refusal(self, response: urllib3.BaseHTTPResponse) -> str:
        if 300 <= response.status < 400:
            return f"answered {response.status}, a redirect, which is not followed"
        return f"answered {response.status}{_said(b''.join(self._read(response)))}"

    def _read(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        size = 0
        for chunk in response.stream(_CHUNK):
            size += len(chunk)
            if size > self._max_bytes:
                raise self.unavailable(f"the answer is longer than {self._max_bytes} bytes")
            yield chunk


def _in_words(error: HTTPError) -> str:
    """Return what happened, without the error's own text: that may hold the whole URL."""
    if isinstance(error, SSLError):
        return "its certificate could not be verified"
    if isinstance(error, NewConnectionError):
        return "cannot connect"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ProtocolError):
        return "cannot connect"
    return f"the exchange failed ({error.__class__.__name__})"


def _said(body: bytes) -> str:
    """Return the error text of an answer in Prometheus's form, cut to 200 characters, or nothing."""
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    said = found.get("error") if isinstance(found, dict) else found
    return f": {said[:200]}" if isinstance(said, str) else ""


def client_of(endpoint: Endpoint, source: str) -> Client:
    """Return the connection to one server, with its credentials."""
    headers = dict(endpoint.headers)
    if endpoint.authorization is not None:
        headers["Authorization"] = endpoint.authorization.reveal()
    elif endpoint.password is not None:
        pair = f"{endpoint.username}:{endpoint.password.reveal()}"
        headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
    verify: bool | str = False if endpoint.insecure_skip_verify else str(endpoint.ca_file or "") or True
    certificate = None
    if endpoint.cert_file is not None and endpoint.key_file is not None:
        certificate = (str(endpoint.cert_file), str(endpoint.key_file))
    return Client(endpoint.url, source=source, headers=headers, verify=verify, certificate=certificate)
