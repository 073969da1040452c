"""A server whose answers are written out byte by byte, for tests of what a client makes of them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing

from edge_gateway.sinks.http_client import HttpClient
from edge_gateway.sinks.http_connection import Response

EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
CHUNKED = b"HTTP/1.1 500 Bad\r\nTransfer-Encoding: chunked\r\n\r\n"
FULL = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall"
MOST = 1 << 20
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class RawServer:
    """Gives the n-th connection to the n-th function, the last one to all after it; counts them."""

    def __init__(self, *serve: Serve) -> None:
        self.serve = serve
        self.connections = 0
        self.port = 0

    @asynccontextmanager
    async def running(
        self, at: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[str]:
        """Serve while the block runs; yields the address."""
        server = await asyncio.start_server(self._connected, at, port, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            async with asyncio.timeout(60):
                yield f"{'https' if tls else 'http'}://{at}:{self.port}"
        finally:
            server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serve = self.serve[min(self.connections, len(self.serve) - 1)]
        self.connections += 1
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def request_from(reader: asyncio.StreamReader) -> tuple[list[str], bytes]:
    """The lines of a request's head, and its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    lines = head.removesuffix("\r\n\r\n").split("\r\n")
    length = next(int(line.split(":")[1]) for line in lines if line.startswith("Content-Length:"))
    return lines, await reader.readexactly(length)


def answering(*answers: bytes) -> Serve:
    """Answer one request after the other, then close."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await request_from(reader)
            writer.write(answer)
            await writer.drain()

    return serve


async def asked(*answers: bytes, most: int = MOST) -> Response:
    async with RawServer(answering(*answers)).running() as url:
        with closing(HttpClient(url, {}, timeout=60)) as client:
            return await client.request("GET", "/", {}, most=most)


async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await writer.wait_closed()
