"""Why a request to InfluxDB got no answer, in an operator's words instead of aiohttp's."""

from typing import Final

import aiohttp

from fleet_wire.errors import system_text, tls_fault

_TEXTS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (TimeoutError, "no answer in time"),
    (aiohttp.ServerDisconnectedError, "the server closed the connection without an answer"),
    (aiohttp.InvalidURL, "not a valid address"),
    (aiohttp.ClientResponseError, "the answer is not HTTP"),
    (aiohttp.ClientPayloadError, "the answer was cut off"),
)


def why_no_answer(error: aiohttp.ClientError | OSError) -> str:
    """Describe what aiohttp raised for a request, without the address, which the caller names."""
    for kind, text in _TEXTS:
        if isinstance(error, kind):
            return text
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return _not_connected(error.certificate_error)
        case aiohttp.ClientConnectorError():
            return _not_connected(error.os_error)
        case OSError():
            return f"the connection failed: {system_text(error)}"
    return str(error) or "no answer"


def _not_connected(error: Exception) -> str:
    if text := tls_fault(error):
        return text
    if not isinstance(error, OSError):
        return f"cannot connect: {error}"
    return f"cannot connect: {system_text(error)}; is InfluxDB running, and influx.url right?"
