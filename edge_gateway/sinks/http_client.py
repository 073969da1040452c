"""Requests to one HTTP server, each in a thread of its own, because the standard library's client blocks.

    request ─▶ a kept connection, or a new one ─▶ head of the answer ─▶ its body, at most as much as is wanted

Giving up a request closes its connection, which ends its thread; one that is still connecting ends by itself. No such
thread keeps the process from ending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from http.client import HTTPException, RemoteDisconnected
from threading import Thread
from typing import Final
from urllib.parse import quote, urlsplit

from edge_gateway.sinks.http_connection import Connection, Response

_PATH: Final = "/%:@!$&'()*+,;=~"


class NoAnswer(Exception):
    """A request had no answer.

    Attributes:
        cause: TimeoutError, EOFError (the server closed the connection), OSError, or ValueError: the server does not
            speak HTTP or, without a connection, the address is not valid.
        connected: whether there was a connection: the server may have the request.
    """

    def __init__(self, cause: Exception, *, connected: bool) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.connected = connected


class HttpClient:
    """Sends requests to one server and follows no redirect. Close it at last.

    One connection is kept for the next request. Requests at the same time have a connection each.

    Args:
        url: `http://` or `https://`, host, and if need be a port and a path that all requests begin with.
        fields: fields of every request.
        timeout: seconds for a whole request.
    """

    def __init__(self, url: str, fields: Mapping[str, str], *, timeout: float) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._tls = parts.scheme == "https"
        self._path = quote(parts.path.rstrip("/"), safe=_PATH)
        self._fields = fields
        self._timeout = timeout
        self._kept: Connection | None = None

    def close(self) -> None:
        """Close the kept connection."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    async def request(
        self, method: str, target: str, fields: Mapping[str, str], body: bytes = b"", *, most: int
    ) -> Response:
        """Send one request, not HEAD, and return its answer. Cancelling closes the connection.

        Args:
            method: GET, POST, …
            target: path and query, encoded.
            fields: fields of this request.
            body: what is sent.
            most: bytes of the answer's body; a longer one, or one that stops coming, makes an answer that is not whole.

        Raises:
            NoAnswer: there is no head of an answer.
        """
        encoded = {name: text.encode() for name, text in {**self._fields, **fields}.items()}
        connection = self._take()
        exchange = partial(connection.exchange, method, self._path + target, encoded, body, most)
        try:
            async with asyncio.timeout(self._timeout):
                await _in_thread(exchange)
        except (OSError, ValueError, HTTPException) as error:
            if connection.answer is None:
                raise NoAnswer(_cause(error), connected=connection.connected) from error
        finally:
            self._put_back(connection)
        answer = connection.answer
        assert answer is not None
        # A thread that was given up may still add to a body.
        return answer if answer.whole else replace(answer, body=answer.body.copy())

    def _take(self) -> Connection:
        """Return the kept connection if it can be used, else one that is yet to be opened."""
        kept, self._kept = self._kept, None
        if kept is not None and kept.renew():
            return kept
        if kept is not None:
            kept.close()
        return Connection(self._host, self._port, self._timeout, tls=self._tls)

    def _put_back(self, connection: Connection) -> None:
        if connection.reusable and self._kept is None:
            self._kept = connection
        else:
            connection.close()


def _cause(error: Exception) -> Exception:
    if isinstance(error, RemoteDisconnected):
        return EOFError()
    return ValueError(str(error)) if isinstance(error, HTTPException) else error


def _in_thread(function: Callable[[], None]) -> asyncio.Future[None]:
    """Run a function in a thread that does not keep the process from ending, as one of a pool would."""
    done: Future[None] = Future()
    done.set_running_or_notify_cancel()

    def run() -> None:
        try:
            function()
        except Exception as error:  # noqa: BLE001 - it is raised where the future is awaited
            done.set_exception(error)
        else:
            done.set_result(None)

    Thread(target=run, name="http", daemon=True).start()
    return asyncio.wrap_future(done)
