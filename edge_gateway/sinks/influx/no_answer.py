"""Why a request to InfluxDB got no answer, in an operator's words."""

from edge_gateway.sinks.http_client import NoAnswer
from fleet_wire.errors import system_text, tls_fault


def why_no_answer(failure: NoAnswer) -> str:
    """Describe the failure, without the address, which the caller names."""
    match failure.cause:
        case TimeoutError(errno=None):
            return "no answer in time"
        case OSError() as cause if not failure.connected:
            return tls_fault(cause) or (
                f"cannot connect: {system_text(cause)}; is InfluxDB running, and influx.url right?"
            )
        case OSError() as cause:
            return f"the connection failed: {system_text(cause)}"
        case EOFError():
            return "the server closed the connection without an answer"
    return "the answer is not HTTP" if failure.connected else "not a valid address"
