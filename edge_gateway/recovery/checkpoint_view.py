"""What a spool's last checkpoint knows of the fleet, read beside the gateway or without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.errors import BadInput
from edge_gateway.fold.settings import FoldSettings
from edge_gateway.journal import spool
from edge_gateway.journal.checkpoint import read_latest
from edge_gateway.recovery.startup import State
from edge_gateway.status.report import devices_told


def devices_in_checkpoint(config: GatewayConfig, wanted: str | None) -> Iterator[dict[str, Any]]:
    """The devices as the last checkpoint has them, each with `at`, the wall time in ms of what it saw last.

    A gateway that was stopped leaves everything in it; one that was killed, or runs, at most a minute less.
    BadInput: there is no checkpoint that can be read.
    """
    place = config.spool.path / spool.CHECKPOINTS
    checkpoint = read_latest(place) if place.is_dir() else None
    if checkpoint is None:
        raise BadInput(f"there is no checkpoint at {place}; has this gateway run for a minute yet?")
    state = State.new("", FoldSettings.of(config))
    state.restore(checkpoint.state)
    return ({"at": state.wall, **device} for device in devices_told(state.pipeline, wanted))
