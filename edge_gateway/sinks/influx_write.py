"""One write to InfluxDB over HTTP: line protocol in, an `Outcome` out, whatever happens in between."""

import asyncio
import gzip
import ssl
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService

from edge_gateway.sinks.outcomes import Outcome

TIMEOUT: Final = 30.0
_MESSAGE_LENGTH: Final = 500
_GZIP_LEVEL: Final = 1


class InfluxWriter:
    """Writes to one server; an async context manager. `timeout` is in seconds, for the whole request."""

    def __init__(
        self,
        url: str,
        org: str,
        token: str,
        *,
        timeout: float = TIMEOUT,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._org = org
        # A followed redirect would turn the POST into a GET and its answer into a success.
        self._client = InfluxDBClientAsync(
            url,
            token,
            org,
            timeout=aiohttp.ClientTimeout(total=timeout),
            enable_gzip=False,
            allow_redirects=False,
            ssl_context=ssl_context,
        )
        self._service = WriteService(self._client.api_client)  # type: ignore[no-untyped-call]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]

    async def write(self, bucket: str, body: bytes) -> Outcome:
        """Send lines with millisecond times to a bucket. Never raises for what a network or a server does."""
        packed = await asyncio.to_thread(gzip.compress, body, _GZIP_LEVEL)
        try:
            _, status, _ = await self._service.post_write_async(  # type: ignore[no-untyped-call]
                self._org,
                bucket,
                packed,
                precision="ms",
                content_encoding="gzip",
                _return_http_data_only=False,
            )
        except ApiException as error:
            return _of_exception(error)
        except TimeoutError:
            return Outcome(None, "no answer in time")
        except (aiohttp.ClientError, OSError) as error:
            return Outcome(None, f"{type(error).__name__}: {error}"[:_MESSAGE_LENGTH])
        return Outcome(int(status))


def _of_exception(error: ApiException) -> Outcome:
    if not error.status:
        return Outcome(None, str(error.reason))
    headers: Any = error.headers or {}
    return Outcome(int(error.status), _message(error.body), headers.get("Retry-After"))


def _message(body: bytes | str | None) -> str:
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body or ""
    return " ".join(text.split())[:_MESSAGE_LENGTH]
