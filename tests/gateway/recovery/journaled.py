"""A gateway's life in a journal: what it folds is recorded, and the store has some of it, or all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fold.effects import Effects
from edge_gateway.journal import spool
from edge_gateway.journal.checkpoint import write_checkpoint
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Input, Moment
from edge_gateway.recovery.record import record_tree
from edge_gateway.recovery.startup import Startup, recover_spool
from edge_gateway.status.clock import MachineClock
from fleet_wire import topics
from fleet_wire.telemetry import encode_telemetry

START = 1_760_000_000_000
SECONDS = 40
DEVICES = [f"d{n}" for n in range(6)]


def config(place: Path) -> GatewayConfig:
    return GatewayConfig.model_validate_json(
        msgspec.json.encode(
            {
                "mqtt": {"url": "mqtt://localhost"},
                "spool": {"path": str(place)},
                "windows": [
                    {"every": "5s", "bucket": "a", "keep": "30d"},
                    {"every": "10s", "bucket": "b", "keep": "60d"},
                ],
                "time": {"allowed_lateness": "1s"},
            }
        )
    )


@contextmanager
def opened(place: Path) -> Iterator[Startup]:
    place.mkdir(exist_ok=True)
    found = recover_spool(place, config(place), "gw", MachineClock())
    try:
        yield found
    finally:
        found.journal.close()
        found.store.close()


def second(ms: int, devices: list[str] = DEVICES) -> Batch:
    """A reading of two metrics of every device."""
    names = [topics.device_topic("berlin", device, topics.TELEMETRY) for device in devices]
    payload = encode_telemetry(1, ms // 1000, START + ms, {"heat": ms / 1000, "level": 1.0})
    return Batch(Moment(START + ms, ms), names, [payload] * len(names))


def journal(life: Startup, number: int, given: Input, *, apply: bool = True, **changes: Any) -> Effects:
    """Fold an input and record it; `changes` to the record are what a fault makes of it."""
    made = life.state.pipeline.fold(given, number=number)
    stored = made.for_store(life.names)
    tree = {**record_tree([given], [made.closings], [stored]), **changes}
    life.journal.append(number, codec.encode(tree))
    life.journal.sync()
    if apply:
        life.store.apply([(number, [stored])])
    return made


def stop(place: Path, life: Startup, number: int) -> None:
    """Leave a checkpoint, as a clean stop does."""
    life.store.sync()
    write_checkpoint(place / spool.CHECKPOINTS, number, life.state.snapshot())
