"""Read the fleet's devices and the state of the rules from the newest checkpoint, whether or not the gateway runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.errors import BadInput
from edge_gateway.journal import spool
from edge_gateway.journal.checkpoint import read_latest, refuse_other
from edge_gateway.recovery.settings import fold_settings
from edge_gateway.recovery.state import State
from edge_gateway.status.devices import describe_devices


def devices_in_checkpoint(config: GatewayConfig, wanted: str | None) -> Iterator[dict[str, Any]]:
    """Yield the devices of the newest checkpoint, each with `at`: the wall time of that state, in ms.

    A gateway that was stopped has everything in it; of one that runs or was killed, up to the last minute is missing.

    Args:
        config: of the gateway.
        wanted: a device's name; None for all.

    Raises:
        BadInput: there is no readable checkpoint.
        OtherSpool: a program of another version wrote one.
    """
    state = state_in_checkpoint(config)
    return ({"at": state.wall, **device} for device in describe_devices(state.pipeline, wanted))


def state_in_checkpoint(config: GatewayConfig) -> State:
    """Return the state in the newest checkpoint; raises as `devices_in_checkpoint` does."""
    spool.require_directory(config.spool.path)
    place = config.spool.path / spool.CHECKPOINTS
    refuse_other(place)
    checkpoint = read_latest(place) if place.is_dir() else None
    if checkpoint is None:
        raise BadInput(f"there is no checkpoint at {place}; has this gateway run for a minute yet?")
    state = State.new("", fold_settings(config))
    state.restore(checkpoint.state)
    return state
