"""Write line protocol to InfluxDB over HTTP; whatever happens becomes an `Outcome`."""

import asyncio
import gzip
import json
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlencode

from edge_gateway.sinks.answer_text import in_short, text_of
from edge_gateway.sinks.http_client import HttpClient, NoAnswer
from edge_gateway.sinks.http_connection import Response
from edge_gateway.sinks.influx.no_answer import why_no_answer
from edge_gateway.sinks.outcomes import Outcome

TIMEOUT: Final = 30.0
"""Seconds for a whole request."""
_MOST_TEXT: Final = 64 << 10
"""Bytes read of an answer, and kept of it when unpacked. InfluxDB sends less; a proxy may send an endless page."""
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
        self._org = org
        self._token = token
        fields = {"Content-Encoding": "gzip", "Content-Type": "text/plain"}
        self._client = HttpClient(url, fields, timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    async def write(self, bucket: str, body: bytes) -> Outcome:
        """Write lines with times in ns to a bucket. Network and server errors are returned, never raised."""
        packed = await asyncio.to_thread(gzip.compress, body, _GZIP_LEVEL)
        query = urlencode({"org": self._org, "bucket": bucket, "precision": "ns"})
        fields = {"Authorization": f"Token {self._token()}"}
        try:
            answer = await self._client.request(
                "POST", f"/api/v2/write?{query}", fields, packed, most=_MOST_TEXT
            )
        except NoAnswer as failure:
            return Outcome(None, why_no_answer(failure), sent=failure.connected)
        return Outcome(answer.status) if answer.status == _STORED else _outcome(answer)


def _outcome(answer: Response) -> Outcome:
    text = text_of(answer, _MOST_TEXT)
    own = None if text is None else _own_words(text)
    said = in_short(answer, text) if own is None else own
    fields = answer.fields
    if answer.status in _REDIRECTED:
        said = f"to {fields.get('location', 'nowhere')}"
    return Outcome(
        answer.status, said, fields.get("retry-after"), foreign=own is None, date=fields.get("date")
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
