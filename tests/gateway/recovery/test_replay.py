"""A program that closes windows at other times takes over a journal: every reading is in one window, once."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fold import pipeline
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Moment
from edge_gateway.records.store_effects import ClosedWindows
from edge_gateway.recovery.startup import Startup, recover_spool
from edge_gateway.status.clock import MachineClock
from edge_gateway.windows.closed import TierBlock
from fleet_wire import topics
from fleet_wire.telemetry import encode_telemetry

START = 1_760_000_000_000
SECONDS = 40
DEVICES = [f"d{n}" for n in range(6)]


def config(spool: Path) -> GatewayConfig:
    return GatewayConfig.model_validate_json(
        msgspec.json.encode(
            {
                "mqtt": {"url": "mqtt://localhost"},
                "spool": {"path": str(spool)},
                "windows": [
                    {"every": "5s", "bucket": "a", "keep": "30d"},
                    {"every": "10s", "bucket": "b", "keep": "60d"},
                ],
                "time": {"allowed_lateness": "1s"},
            }
        )
    )


def second(ms: int) -> Batch:
    """A reading of two metrics of every device."""
    names = [topics.device_topic("berlin", device, topics.TELEMETRY) for device in DEVICES]
    payload = encode_telemetry(1, ms // 1000, START + ms, {"heat": ms / 1000, "level": 1.0})
    return Batch(Moment(START + ms, ms), names, [payload] * len(names))


def opened(spool: Path) -> Startup:
    spool.mkdir(exist_ok=True)
    return recover_spool(spool, config(spool), "gw", MachineClock())


def counted(closed: Iterable[ClosedWindows | TierBlock]) -> Counter[tuple[int, int]]:
    """How many readings each window holds, by (tier, series)."""
    found: Counter[tuple[int, int]] = Counter()
    for part in closed:
        for row in part.rows:
            found[part.tier, int(row["series"])] += int(row["count"])
    return found


@pytest.mark.parametrize(("first", "second_"), [(16_384, 1), (1, 16_384)])
def test_another_pace_loses_nothing_and_counts_nothing_twice(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    first: int,
    second_: int,
) -> None:
    monkeypatch.setattr(pipeline, "CLOSE_SHARE", 0)
    monkeypatch.setattr(pipeline, "CLOSE_ROWS", first)
    life = opened(tmp_path / "spool")
    closed: list[Any] = []
    for number in range(1, SECONDS):
        given = second(number * 1000)
        effects = life.state.pipeline.fold(given)
        closed += effects.windows
        tree = {"inputs": [given], "effects": [effects.for_store(life.names)]}
        life.journal.append(number, codec.encode(tree))
        life.journal.sync()
    life.journal.close()
    life.store.close()

    monkeypatch.setattr(pipeline, "CLOSE_ROWS", second_)
    with caplog.at_level(logging.INFO):
        life = opened(tmp_path / "spool")
    assert "closes windows at other times" in caplog.text, "else there was nothing to follow"
    rest = life.state.pipeline.windows.drain()
    both = counted([*closed, *rest.numbers])
    assert both == {(tier, series): SECONDS - 1 for tier in (0, 1) for series in range(2 * len(DEVICES))}
    life.journal.close()
    life.store.close()
