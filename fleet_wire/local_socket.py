"""How a command line talks to its running process: JSON lines over a Unix socket.

One request a connection: the client sends one line, a JSON object. The server answers with any number of lines
`{"item": …}` and ends with `{"ok": true}`, or with `{"ok": true, "result": …}`; both may be
`{"ok": false, "error": "…"}` instead, with `"refused": true` when the request itself is at fault.
"""

import asyncio
import json
import logging
import os
import pwd
import socket
import stat
import struct
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
)
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

Handler = Callable[[dict[str, Any]], Awaitable[Any]]

LONGEST_LINE = 1 << 20
"""Bytes of one line, in either direction."""
MOST_CLIENTS = 32
"""Connections served at once; one more gets an error."""
LONGEST_PATH = 107
"""Bytes of a Unix socket's path, as the kernel's sockaddr_un holds."""
_MODE = 0o660
_REQUEST_WITHIN = 10.0
_TAKEN_WITHIN = 30.0
"""Seconds a client may block sending by not reading before it is disconnected."""
_TURNS_TO_ARRIVE = 3

_log = logging.getLogger(__name__)
_asking: ContextVar[str] = ContextVar("asking", default="")
_CREDENTIALS = struct.Struct("3i")
"""Process, user and group, as the kernel gives them (SO_PEERCRED in unix(7))."""


def asking_user() -> str:
    """Return the name of the user whose request is being answered, as the kernel knows it; "" outside of a request."""
    return _asking.get()


def _user_of(client: socket.socket) -> str:
    raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(raw)
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


class NotRunning(ConnectionError):
    """Nothing listens on the socket."""


class RequestFailed(Exception):
    """The process answered with an error; its text is this one's."""


class RequestRefused(RequestFailed):
    """The process refused what the request asks for: to ask again changes nothing."""


@asynccontextmanager
async def serve(path: Path, handler: Handler) -> AsyncIterator[None]:
    """Answer requests while the block runs; the socket may be used by owner and group.

    What the handler returns is the result; an iterable that is no list, or an async iterable, is sent item by
    item. What it raises is the error; a ValueError refuses the request. A socket that a dead process left is
    replaced; FileExistsError when a live one, or something else, is in the way.
    """
    if await asyncio.to_thread(_is_alive, path):
        raise FileExistsError(f"{path} is in use: another one is running")
    server, listener = _Server(handler), _listen(path)
    unix_server = await asyncio.start_unix_server(
        server.arrived, sock=listener, limit=LONGEST_LINE, backlog=MOST_CLIENTS
    )
    try:
        yield
    finally:
        _remove(path)
        try:
            await server.stop()
        finally:
            unix_server.close()


def _is_alive(path: Path) -> bool:
    """Return whether a process listens on the socket; FileExistsError if the path is not a socket."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(f"{path} is in the way, and it is not a socket: remove it")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, _reachable(path) as near:
            probe.connect(near)
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


@contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """Yield a name for the socket that fits into an address: its path, or one through an open directory.

    A path longer than 107 bytes (unix(7)) is reached through /proc/self/fd.
    """
    if len(bytes(path)) <= LONGEST_PATH:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def _listen(path: Path) -> socket.socket:
    """Bind under another name and rename, so that the socket appears with its mode and replaces an old one at once."""
    fresh = path.with_name(_fresh_name(path.name))
    _remove(fresh)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _reachable(fresh) as near:
            listener.bind(near)
        fresh.chmod(_MODE)
        listener.listen(MOST_CLIENTS)
        listener.setblocking(False)
        fresh.rename(path)
    except OSError:
        listener.close()
        _remove(fresh)
        raise
    return listener


def _fresh_name(name: str) -> str:
    return f".{name}.new"


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


class _Server:
    """One task per client. The connection is closed when its task ends, even if the task never started."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._stopped = False

    def arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._stopped:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._client(reader, writer), name="local client")
        self._clients[task] = writer
        task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._clients.pop(task).close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
            writer.close()
            async with asyncio.timeout(_TAKEN_WITHIN):
                await writer.wait_closed()
        except (ConnectionError, TimeoutError):
            _log.debug("a local client left or stopped reading before its answer was complete")
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except ConnectionError:
            raise
        except Exception as problem:  # noqa: BLE001 - the edge of the process: an error is an answer
            text = str(problem) or type(problem).__name__
            if not isinstance(problem, RequestFailed | ValueError | OSError):
                text = f"{type(problem).__name__}: {problem}"
                details = problem if _log.isEnabledFor(logging.DEBUG) else None
                _log.error("a local request failed: %s", text, exc_info=details)
            refused = {"refused": True} if isinstance(problem, ValueError) else {}
            await _send(writer, {"ok": False, "error": text, **refused})

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) > MOST_CLIENTS:
            raise RequestFailed(f"busy with {MOST_CLIENTS} requests: try again")
        _asking.set(_user_of(writer.get_extra_info("socket")))
        result = await self._handler(await _read_request(reader))
        if isinstance(result, AsyncIterable | Iterable) and not isinstance(result, str | list | tuple | dict):
            await _stream(writer, result)
            await _send(writer, {"ok": True})
        else:
            await _send(writer, {"ok": True, "result": result})

    async def stop(self) -> None:
        """End every client, including those being accepted.

        Accepting takes asyncio a few turns of the loop, and a connection that is half accepted when its server closes
        would stay open forever. No new client can connect meanwhile, because the socket's name is gone.
        """
        self._stopped = True
        for _ in range(_TURNS_TO_ARRIVE):
            await asyncio.sleep(0)
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)


async def _read_request(reader: asyncio.StreamReader) -> dict[str, Any]:
    try:
        async with asyncio.timeout(_REQUEST_WITHIN):
            line = await reader.readuntil(b"\n")
    except TimeoutError:
        raise RequestFailed(f"no request within {_REQUEST_WITHIN:g} s") from None
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise RequestFailed(f"a request is one line of at most {LONGEST_LINE} bytes") from None
    try:
        request = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise RequestFailed("the request is not JSON") from None
    if not isinstance(request, dict):
        raise RequestFailed("a request must be a JSON object")
    return request


def _refuse_constant(text: str) -> None:
    """Refuse `NaN` and `Infinity`, which Python writes and JSON does not have."""
    raise ValueError(text)


async def _stream(writer: asyncio.StreamWriter, items: AsyncIterable[Any] | Iterable[Any]) -> None:
    """Send items no faster than the client reads; close the source if the client leaves."""
    try:
        if isinstance(items, AsyncIterable):
            async for item in items:
                await _send(writer, {"item": item})
        else:
            for item in items:
                await _send(writer, {"item": item})
    finally:
        close = getattr(items, "aclose", None)
        if close:
            await close()


async def _send(writer: asyncio.StreamWriter, answer: dict[str, Any]) -> None:
    writer.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
    try:
        async with asyncio.timeout(_TAKEN_WITHIN):
            await writer.drain()
    except TimeoutError:
        raise ConnectionAbortedError("the client does not read") from None


async def call(path: Path, request: dict[str, Any], timeout: float = 5.0) -> Any:  # noqa: ASYNC109 - of the answer
    """Send one request and return its result; a streamed answer is returned as a list.

    NotRunning when nothing listens, TimeoutError when no answer is complete within `timeout` seconds,
    RequestFailed with the text of the process when it answers with an error, RequestRefused if the request is at fault.
    """
    items: list[Any] = []
    try:
        async with asyncio.timeout(timeout), aclosing(_lines(path, request)) as lines:
            async for line in lines:
                if "item" not in line:
                    return line.get("result", items)
                items.append(line["item"])
    except TimeoutError:
        raise TimeoutError(f"no answer from {path} within {timeout:g} s") from None
    raise _cut_short(path)


async def stream(path: Path, request: dict[str, Any]) -> AsyncGenerator[Any]:
    """Send one request and yield the items of its answer as they arrive, without a time limit."""
    async with aclosing(_lines(path, request)) as lines:
        async for line in lines:
            if "item" not in line:
                return
            yield line["item"]
    raise _cut_short(path)


def _cut_short(path: Path) -> RequestFailed:
    return RequestFailed(f"{path}: the process ended before its answer was complete")


async def _lines(path: Path, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
    try:
        with _reachable(path) as near:
            reader, writer = await asyncio.open_unix_connection(near, limit=LONGEST_LINE)
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotRunning(f"nothing listens on {path}: is it running?") from None
    try:
        with suppress(ConnectionError):
            await _send(writer, request)
            while (text := await reader.readline()).endswith(b"\n"):
                line = json.loads(text)
                if "error" in line:
                    raise (RequestRefused if line.get("refused") else RequestFailed)(line["error"])
                yield line
    finally:
        writer.close()
