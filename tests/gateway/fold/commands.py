"""Commands and a queue for them, for tests."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from edge_gateway.fold.command_queue import CommandQueue, Mode
from edge_gateway.fold.pending_command import NEVER, CommandWork, PendingCommand
from edge_gateway.records.alerts import CommandIntent, Transition
from edge_gateway.records.inputs import Moment
from fleet_config.durations import RateSpec
from tests.gateway.records.transitions import WALL, too_warm

INTENT = CommandIntent(
    id="cool", name="compressor", args={"value": -22}, expires_ms=60_000, confirm_within_ms=10_000, retries=2
)
FAST = RateSpec(1000, 1000)
HOUR = 3_600_000
NOW = Moment(WALL, 0)
"""Monotonic time begins at WALL."""
QUIET = replace(INTENT, confirm_within_ms=None, retries=0)
"""It wants no answer."""


def transition(
    device: str = "frz-1",
    level: str = "critical",
    at: int = WALL,
    intent: CommandIntent = INTENT,
    **changes: Any,
) -> Transition:
    """An alert by a reading of this time; each level and time is of a rule of its own."""
    commands = (replace(intent, read_at=None if intent.closing else at),)
    rule = f"{level}-{at}"
    alert = {"id": f"id-{device}-{rule}", "rule": rule, "level": level, "subject": device, "at": at}
    return too_warm(**alert | {"commands": commands} | changes)


def moment(wall: int, *, trusted: bool = True, set_by: int = 0) -> Moment:
    """The moment at which the wall clock shows `wall` if it was not set, and `set_by` ms more if it was."""
    return Moment(wall + set_by, 0, trusted, monotonic=wall - WALL)


def queue(
    mode: Mode = "live", per_device: RateSpec = FAST, total: RateSpec = FAST, max_age: int = NEVER
) -> CommandQueue:
    return CommandQueue(mode, per_device, total, max_age)


def pending(
    alert: Transition,
    now: Moment = NOW,
    *,
    intent: CommandIntent | None = None,
    number: int = 1,
    max_age: int = NEVER,
) -> PendingCommand:
    """The first command of an alert, or another."""
    return PendingCommand.of(alert, intent or alert.commands[0], now, number, max_age)


def states(work: CommandWork) -> list[str]:
    return [change.state for change in work.changes]
