"""Write line protocol to InfluxDB over HTTP; whatever happens becomes an `Outcome`."""

import asyncio
import gzip
import json
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import aiohttp

from edge_gateway.sinks.influx.no_answer import why_no_answer
from edge_gateway.sinks.outcomes import Outcome

TIMEOUT: Final = 30.0
"""Seconds for a whole request."""
_MOST_TEXT: Final = 64 << 10
"""Bytes read of an answer. InfluxDB sends less; a proxy may send an endless page."""
_STORED: Final = 204
_REDIRECTED: Final = range(300, 400)
_GZIP_LEVEL: Final = 1


class InfluxWriter:
    """Writes to one server; an async context manager.

    Args:
        url: the server's address.
        org: the organisation's name.
        token: returns the token; called for each request, because the token may have been replaced.
        timeout: seconds for a whole request.
    """

    def __init__(
        self,
        url: str,
        org: str,
        token: Callable[[], str],
        *,
        timeout: float = TIMEOUT,
    ) -> None:
        self._target = f"{url.rstrip('/')}/api/v2/write"
        self._org = org
        self._token = token
        self._session = aiohttp.ClientSession(
            headers={
                "Content-Encoding": "gzip",
                "Content-Type": "text/plain",
                "Accept-Encoding": "identity",
            },
            # A compressed answer could be small on the wire and huge in memory.
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=timeout),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def write(self, bucket: str, body: bytes) -> Outcome:
        """Write lines with times in ns to a bucket. Network and server errors are returned, never raised."""
        packed = await asyncio.to_thread(gzip.compress, body, _GZIP_LEVEL)
        headers = {"Authorization": f"Token {self._token()}"}
        query = {"org": self._org, "bucket": bucket, "precision": "ns"}
        try:
            # Following a redirect would turn the POST into a GET, whose answer would count as success.
            async with self._session.post(
                self._target, params=query, data=packed, headers=headers, allow_redirects=False
            ) as answer:
                if answer.status == _STORED:
                    return Outcome(answer.status)
                return _outcome(answer, await _text(answer))
        except (aiohttp.ClientError, OSError) as error:
            return Outcome(
                None, why_no_answer(error), sent=not isinstance(error, aiohttp.ClientConnectorError)
            )


async def _text(answer: aiohttp.ClientResponse) -> bytes:
    """Return the start of an answer's body, or as much of it as arrived."""
    taken = bytearray()
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        while len(taken) < _MOST_TEXT and (part := await answer.content.read(_MOST_TEXT)):
            taken += part
    return bytes(taken[:_MOST_TEXT])


def _outcome(answer: aiohttp.ClientResponse, body: bytes) -> Outcome:
    text = body.decode("utf-8", "replace")
    own = _own_words(text)
    said = " ".join(text.split()) if own is None else own
    if answer.status in _REDIRECTED:
        said = f"to {answer.headers.get('Location', 'nowhere')}"
    headers = answer.headers
    return Outcome(
        answer.status, said, headers.get("Retry-After"), foreign=own is None, date=headers.get("Date")
    )


def _own_words(text: str) -> str | None:
    """Return InfluxDB's message: `message` or `code` of 2.x, `error` of 1.x and 3.x. None from another server."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    if isinstance(told.get("code"), str):
        return str(told.get("message") or told["code"])
    return told["error"] if isinstance(told.get("error"), str) else None
