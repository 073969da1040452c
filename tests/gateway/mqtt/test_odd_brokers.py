"""Too few, too many or no codes in answer to SUBSCRIBE are reported, and the gateway goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from edge_gateway.mqtt import source as module
from edge_gateway.mqtt.caught_up_clock import CaughtUpClock
from edge_gateway.mqtt.ownership import Ownership
from edge_gateway.mqtt.source import Source
from edge_gateway.mqtt.subscriptions import FilterList, Subscriptions
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems
from fleet_wire.session import SessionOptions

CONNACK, SUBACK = 0x20, 0x90
CONNECT, SUBSCRIBE = 0x10, 0x80
FILTERS = ("fleet/v1/+/+/status", "fleet/v1/+/+/telemetry")
PATIENCE = 60.0


class OddBroker:
    """Takes any CONNECT, and gives `codes` in answer to a SUBSCRIBE; nothing where that is None."""

    def __init__(self, codes: bytes | None) -> None:
        self.codes = codes
        self.connects = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readexactly(1))[0] & 0xF0
                body = await reader.readexactly(await _length(reader))
                if head == CONNECT:
                    self.connects += 1
                    writer.write(bytes([CONNACK, 3, 0, 0, 0]))
                elif head == SUBSCRIBE and self.codes is not None:
                    writer.write(bytes([SUBACK, 3 + len(self.codes)]) + body[:2] + b"\0" + self.codes)
                await writer.drain()
        writer.close()


async def _length(reader: asyncio.StreamReader) -> int:
    value = shift = 0
    while True:
        (byte,) = await reader.readexactly(1)
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7


@asynccontextmanager
async def connected(broker: OddBroker, place: Path) -> AsyncIterator[Problems]:
    """A telemetry session at this broker, which must not end while the block runs."""
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    broker.port = server.sockets[0].getsockname()[1]
    problems, counters = Problems(lambda: 0), Counters()
    now = lambda: time.monotonic_ns() // 1_000_000  # noqa: E731
    source = Source(
        lambda: SessionOptions("127.0.0.1", broker.port, "edge:gw"),
        Subscriptions(FILTERS, FilterList(place / "list", "edge:gw"), problems),
        "edge/v1/gw/echo",
        now,
        CaughtUpClock(),
        counters,
        problems,
        Ownership(["0" * 16], time.monotonic, counters, problems),
    )
    running = asyncio.create_task(source.run())
    try:
        yield problems
        assert not running.done(), "the session goes on"
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await source.close()
        server.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - what is waited for says nothing
            await asyncio.sleep(0.01)


def told(problems: Problems, code: str) -> str:
    return next((problem.text for problem in problems if problem.code == code), "")


@pytest.mark.parametrize("codes", [b"\x01", b"\x01\x01\x01", b""])
@pytest.mark.problem("raises", "broker")
@pytest.mark.problem("clears", "broker")
async def test_a_wrong_number_of_suback_codes_is_reported_and_retried(tmp_path: Path, codes: bytes) -> None:
    broker = OddBroker(codes)
    async with connected(broker, tmp_path) as problems:
        await until(lambda: broker.connects > 2)
        assert f"{len(codes)} answers to 2" in told(problems, "broker") or not codes
        assert told(problems, "broker")
        broker.codes = b"\x01\x01"
        await until(lambda: not told(problems, "broker"))


async def test_a_missing_suback_is_reported_if_nothing_else_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_AFTER", 50)
    broker = OddBroker(None)
    async with connected(broker, tmp_path) as problems:
        await until(lambda: "does not answer" in told(problems, "broker"))
        assert broker.connects == 1, "it may still answer"
