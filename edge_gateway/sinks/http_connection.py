"""A connection to an HTTP server: `http.client`, which another thread can stop at any point."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPS_PORT, HTTPConnection, HTTPResponse
from select import POLLIN, poll
from socket import IPPROTO_TCP, SHUT_RDWR, SOCK_STREAM, TCP_NODELAY, create_connection, getaddrinfo, socket
from time import monotonic
from typing import Final

KEPT: Final = 15.0
"""Seconds that an unused connection is kept: a router may forget one without telling."""
_SHARE: Final = 3.0
"""Seconds at most that an address of the host may take to answer while there are others."""
_PIECE: Final = 64 << 10
_INTERIM: Final = range(100, 200)


@dataclass(slots=True)
class Response:
    """An answer of the server.

    Attributes:
        status: its status code.
        fields: header fields by lower-case name; of several with one name the first.
        body: as much of it as was wanted and came.
        whole: whether that is all of it.
    """

    status: int
    fields: Mapping[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False


class Connection:
    """A connection, opened by its first exchange. One thread at a time uses it; another may close it.

    Attributes:
        answer: of the latest exchange, as far as it has come; None before its head.
        connected: whether it was ever open.
        reusable: whether the latest exchange left it fit for another.
    """

    def __init__(self, host: str, port: int | None, timeout: float, *, tls: bool) -> None:
        kind = _Secure if tls else HTTPConnection
        self._http = kind(host, port or kind.default_port)
        self._tls = tls
        self._timeout = timeout
        self._handle: socket | None = None
        self._closed = False
        self._used_at = 0.0
        self.answer: Response | None = None
        self.connected = self.reusable = False

    def renew(self) -> bool:
        """Prepare for another exchange; return whether there may be one: it is not old, and nothing came unasked."""
        arrived = poll()
        arrived.register(self._http.sock, POLLIN)
        if monotonic() - self._used_at >= KEPT or arrived.poll(0):
            return False
        self.answer, self.reusable = None, False
        return True

    def close(self) -> None:
        """Close it. A thread that uses it comes to its end, and closes what is the thread's."""
        self._closed = True
        if self._handle is not None:
            with suppress(OSError):
                self._handle.shutdown(SHUT_RDWR)
            self._handle.close()
        if self.reusable:
            self._http.close()

    def exchange(self, method: str, target: str, fields: Mapping[str, bytes], body: bytes, most: int) -> None:
        """Send a request and read its answer, at most `most` bytes of its body.

        Raises:
            OSError, HTTPException, ValueError: it failed, maybe after the head of the answer.
        """
        try:
            if not self.connected:
                self._connect()
            sent = self._send(method, target, fields, body)
            with self._http.getresponse() as response:
                self.answer = _head(response)
                self.answer.whole = _read(response, self.answer.body, most)
                self._used_at = monotonic()
                self.reusable = sent and self.answer.whole and not response.will_close
        finally:
            if self._closed or not self.reusable:
                self._http.close()

    def _connect(self) -> None:
        self._http.sock = _first_to_answer(self._http.host, self._http.port, self._timeout)
        # A second handle for `close`: TLS and the library replace and close the first at any time.
        self._handle = self._http.sock.dup()
        if self._closed:
            self._handle.close()
            raise ConnectionAbortedError
        if self._tls:
            # Made anew each time: the certificates it trusts may have been replaced since.
            context = ssl.create_default_context()
            self._http.sock = context.wrap_socket(self._http.sock, server_hostname=self._http.host)
        self.connected = True

    def _send(self, method: str, target: str, fields: Mapping[str, bytes], body: bytes) -> bool:
        """Send a request; return whether all was sent: a server may refuse it, and close, before it has all."""
        try:
            self._http.request(method, target, body, fields)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True


class _Secure(HTTPConnection):
    default_port = HTTPS_PORT


def _first_to_answer(host: str, port: int, timeout: float) -> socket:
    """Connect to the first address of a host that answers; one that is silent leaves time for the others."""
    places = [(str(found[4][0]), port) for found in getaddrinfo(host, port, type=SOCK_STREAM)]
    share = min(_SHARE, timeout / len(places))
    for place in places[:-1]:
        with suppress(OSError):
            return _opened(place, share)
    return _opened(places[-1], timeout)


def _opened(place: tuple[str, int], timeout: float) -> socket:
    opened = create_connection(place, timeout)
    opened.settimeout(None)
    opened.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    return opened


def _head(response: HTTPResponse) -> Response:
    """Return the head of the answer, after interim ones; the library itself passes over 100 only."""
    while response.status in _INTERIM:
        response.headers = None  # type: ignore[assignment] # as it is before the first head
        response.begin()
    return Response(response.status, {name.lower(): text for name, text in reversed(response.getheaders())})


def _read(response: HTTPResponse, body: bytearray, most: int) -> bool:
    """Add at most `most` bytes to a body; return whether they are all of it."""
    while piece := response.read1(_PIECE):
        body += piece
        if len(body) > most:
            del body[most:]
            return False
    return not response.length
