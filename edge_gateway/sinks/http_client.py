"""Requests to one HTTP server: the part of RFC 9112 that a database and the proxies before it need.

    request ─▶ a kept connection, or a new one ─▶ head of the answer ─▶ its body, at most as much as is wanted

A library for any server would take 9 MB of a running gateway's memory.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlsplit

KEPT: Final = 15.0
"""Seconds that an unused connection is kept: a router may forget one without telling."""
_FALL_BACK: Final = 0.25
"""Seconds after which another address of the host is tried beside the one before (RFC 8305)."""
_MOST_FIELDS: Final = 200
_LONGEST_LINE: Final = 64 << 10
_PIECE: Final = 64 << 10
_STATUS: Final = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: .*)?")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_PATH: Final = "/%:@!$&'()*+,;=~"
_INTERIM: Final = range(100, 200)
_WITHOUT_BODY: Final = (204, 304)


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
        self._host, self._tls = parts.hostname or "", parts.scheme == "https"
        self._path = quote(parts.path.rstrip("/"), safe=_PATH)
        self._port = parts.port
        self._fields = {"Accept-Encoding": "identity", **fields}
        self._timeout = timeout
        self._context: ssl.SSLContext | None = None
        self._kept: _Connection | None = None

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
        answer: Response | None = None
        connection: _Connection | None = None
        try:
            head = self._head(method, target, fields, len(body))
            async with asyncio.timeout(self._timeout):
                connection = self._take_kept() or await self._connect()
                connection.send(head, body)
                answer = await connection.head()
                await connection.read_body(answer, most)
                answer.whole = True
        except (OSError, EOFError, ValueError) as error:
            if answer is None:
                raise NoAnswer(error, connected=connection is not None) from error
        finally:
            self._put_back(connection, answer)
        return answer

    def _head(self, method: str, target: str, fields: Mapping[str, str], length: int) -> bytes:
        host = _host_field(self._host, self._port)
        every = {"Host": host, **self._fields, **fields, "Content-Length": str(length)}
        lines = [
            f"{method} {self._path}{target} HTTP/1.1",
            *(f"{name}: {text}" for name, text in every.items()),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def _take_kept(self) -> _Connection | None:
        kept, self._kept = self._kept, None
        if kept is not None and not kept.is_usable():
            kept.close()
            return None
        return kept

    def _put_back(self, connection: _Connection | None, answer: Response | None) -> None:
        """Keep a connection whose answer was read to its end, close any other."""
        if connection is None:
            return
        if answer is not None and answer.whole and connection.persistent and self._kept is None:
            connection.used_at = asyncio.get_running_loop().time()
            self._kept = connection
        else:
            connection.close()

    async def _connect(self) -> _Connection:
        if self._tls and self._context is None:
            self._context = ssl.create_default_context()
            self._context.set_alpn_protocols(["http/1.1"])
        reader, writer = await asyncio.open_connection(
            self._host,
            self._port or (443 if self._tls else 80),
            ssl=self._context,
            limit=_LONGEST_LINE,
            happy_eyeballs_delay=_FALL_BACK,
        )
        return _Connection(reader, writer)


def _host_field(host: str, port: int | None) -> str:
    name = f"[{host}]" if ":" in host else host.encode("idna").decode()
    return name if port is None else f"{name}:{port}"


class _Connection:
    """A connection; `persistent` says whether the answer read last allows another request on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.persistent = False
        self.used_at = 0.0

    def is_usable(self) -> bool:
        """Whether another request may be sent: all of the last one was, and the connection is not closed or old."""
        unused = asyncio.get_running_loop().time() - self.used_at
        closed = self._reader.at_eof() or self._writer.is_closing()
        return unused < KEPT and not closed and not self._writer.transport.get_write_buffer_size()

    def close(self) -> None:
        self._writer.transport.abort()

    def send(self, head: bytes, body: bytes) -> None:
        """Send a request without waiting until it is: a server may refuse it before it has read all."""
        self._writer.write(head)
        self._writer.write(body)

    async def head(self) -> Response:
        """Return the head of the answer. EOFError if there is none, ValueError if it is not HTTP."""
        while True:
            line = await self._line()
            found = _STATUS.fullmatch(line)
            if found is None:
                raise ValueError("no status line")
            answer = Response(int(found[2]), await self._field_lines())
            if answer.status not in _INTERIM:
                closing = "close" in answer.fields.get("connection", "").lower()
                self.persistent = found[1] != b"0" and not closing
                return answer

    async def _field_lines(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        for _ in range(_MOST_FIELDS):
            line = await self._line()
            if not line:
                return fields
            found = _FIELD.fullmatch(line)
            if found is None:
                raise ValueError("no header field")
            fields.setdefault(found[1].decode().lower(), found[2].decode("utf-8", "replace"))
        raise ValueError("too many header fields")

    async def _line(self) -> bytes:
        """Return the next line without its end. EOFError if there is none, ValueError if it is too long or cut off."""
        line = await self._reader.readline()
        if not line:
            raise EOFError
        if not line.endswith(b"\n"):
            raise ValueError("a line is cut off")
        return line.rstrip(b"\r\n")

    async def read_body(self, answer: Response, most: int) -> None:
        """Read an answer's body into it.

        Raises:
            ValueError: it is malformed, or longer than `most` bytes.
            EOFError: it is cut off.
        """
        if answer.status in _WITHOUT_BODY:
            return
        if "chunked" in answer.fields.get("transfer-encoding", "").lower():
            await self._read_chunks(answer, most)
        elif (length := answer.fields.get("content-length")) is None:
            self.persistent = False
            await self._read_to_the_end(answer, most)
        elif _NUMBER.fullmatch(length):
            await self._read(answer, int(length), most)
        else:
            raise ValueError("no length")

    async def _read(self, answer: Response, length: int, most: int) -> None:
        while length:
            piece = await self._reader.read(min(length, _PIECE))
            if not piece:
                raise EOFError
            length -= len(piece)
            _add(answer, piece, most)

    async def _read_to_the_end(self, answer: Response, most: int) -> None:
        while piece := await self._reader.read(_PIECE):
            _add(answer, piece, most)

    async def _read_chunks(self, answer: Response, most: int) -> None:
        while length := await self._chunk_length():
            await self._read(answer, length, most)
            if await self._line():
                raise ValueError("a chunk is longer than it says")
        await self._field_lines()

    async def _chunk_length(self) -> int:
        found = _CHUNK.fullmatch(await self._line())
        if found is None:
            raise ValueError("no length of a chunk")
        return int(found[1], 16)


def _add(answer: Response, piece: bytes, most: int) -> None:
    answer.body += piece
    if len(answer.body) > most:
        del answer.body[most:]
        raise ValueError("longer than wanted")
