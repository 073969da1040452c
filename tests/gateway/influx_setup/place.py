"""A server without anything of the product, and the windows that are set up on it."""

from edge_gateway.influx_setup.documents import WindowBucket
from edge_gateway.influx_setup.server import Target
from fleet_proof.servers.influx import Influx

DAY = 86_400_000
MINUTE = 60_000
WINDOWS = (
    WindowBucket(MINUTE, "telemetry", 30 * DAY),
    WindowBucket(10 * MINUTE, "telemetry_10m", 180 * DAY),
    WindowBucket(60 * MINUTE, "telemetry_1h", 730 * DAY),
)


def target(influx: Influx) -> Target:
    return Target(influx.url, influx.org, influx.token)
