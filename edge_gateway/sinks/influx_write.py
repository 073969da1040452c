"""One write to InfluxDB over HTTP: line protocol in, an `Outcome` out, whatever happens in between."""

import asyncio
import gzip
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import aiohttp

from edge_gateway.sinks.outcomes import Outcome

TIMEOUT: Final = 30.0
_MESSAGE_LENGTH: Final = 500
_REDIRECTED: Final = 300
_GZIP_LEVEL: Final = 1


class InfluxWriter:
    """Writes to one server; an async context manager.

    `token` is asked before each request, because it may have been replaced. `timeout` is in seconds, for the whole
    request.
    """

    def __init__(
        self,
        url: str,
        org: str,
        token: Callable[[], str],
        *,
        timeout: float = TIMEOUT,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._target = f"{url.rstrip('/')}/api/v2/write"
        self._org = org
        self._token = token
        self._session = aiohttp.ClientSession(
            headers={
                "Content-Encoding": "gzip",
                "Content-Type": "text/plain",
            },
            timeout=aiohttp.ClientTimeout(total=timeout),
            connector=aiohttp.TCPConnector(ssl=True if ssl_context is None else ssl_context),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def write(self, bucket: str, body: bytes) -> Outcome:
        """Send lines with millisecond times to a bucket. Never raises for what a network or a server does."""
        packed = await asyncio.to_thread(gzip.compress, body, _GZIP_LEVEL)
        headers = {"Authorization": f"Token {self._token()}"}
        query = {"org": self._org, "bucket": bucket, "precision": "ms"}
        try:
            # A followed redirect would turn the POST into a GET and its answer into a success.
            async with self._session.post(
                self._target, params=query, data=packed, headers=headers, allow_redirects=False
            ) as answer:
                if answer.ok and answer.status < _REDIRECTED:
                    return Outcome(answer.status)
                return Outcome(
                    answer.status,
                    _message(await answer.text("utf-8", "replace")),
                    answer.headers.get("Retry-After"),
                )
        except TimeoutError:
            return Outcome(None, "no answer in time")
        except (aiohttp.ClientError, OSError) as error:
            return Outcome(None, f"{type(error).__name__}: {error}"[:_MESSAGE_LENGTH])


def _message(text: str) -> str:
    return " ".join(text.split())[:_MESSAGE_LENGTH]
