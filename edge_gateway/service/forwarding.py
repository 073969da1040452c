"""Build the InfluxDB sink, which reads the outbox, and the writer it sends with."""

from __future__ import annotations

from edge_gateway.configuration.credentials import Credentials
from edge_gateway.configuration.model import InfluxSection
from edge_gateway.recovery.startup import INFLUX
from edge_gateway.sinks.influx.sink import InfluxSink
from edge_gateway.sinks.influx.writer import InfluxWriter
from edge_gateway.store.store_thread import StoreThread
from fleet_wire import backoff


def forwarding(
    influx: InfluxSection, store: StoreThread, credentials: Credentials
) -> tuple[InfluxWriter, InfluxSink]:
    """Return a writer, to be closed, and a sink, to be run. BadInput if there is no usable token.

    After a refusal the sink pauses until its delay is over or the token changes.
    """
    credentials.token.now()
    writer = InfluxWriter(influx.url, influx.org, credentials.token.now, timeout=influx.timeout / 1000)
    sink = InfluxSink(INFLUX, store, writer.write, backoff.delays, address=influx.url, sleep=credentials.rest)
    return writer, sink
