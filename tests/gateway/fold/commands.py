"""Commands and a queue for them, for tests."""

from __future__ import annotations

from edge_gateway.fold.command_queue import CommandQueue, Mode
from edge_gateway.fold.pending_command import CommandWork
from edge_gateway.records.alerts import CommandIntent, Transition
from edge_gateway.records.inputs import Moment
from fleet_config.durations import RateSpec
from tests.gateway.records.transitions import WALL, too_warm

INTENT = CommandIntent(
    name="compressor", args={"value": -22}, expires_ms=60_000, confirm_within_ms=10_000, retries=2
)
FAST = RateSpec(1000, 1000)
HOUR = 3_600_000


def transition(device: str = "frz-1", level: str = "critical", at: int = WALL) -> Transition:
    identity = f"id-{device}-{level}-{at}"
    return too_warm(id=identity, level=level, subject=device, at=at, commands=(INTENT,))


def moment(wall: int, *, trusted: bool = True, set_by: int = 0) -> Moment:
    """The moment at which the wall clock shows `wall` if it was not set, and `set_by` ms more if it was."""
    return Moment(wall + set_by, 0, trusted, monotonic=wall - WALL)


def queue(mode: Mode = "live", per_device: RateSpec = FAST, total: RateSpec = FAST) -> CommandQueue:
    return CommandQueue(mode, per_device, total)


def states(work: CommandWork) -> list[str]:
    return [change.state for change in work.changes]
