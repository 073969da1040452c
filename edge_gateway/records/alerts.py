"""What the rules say to the outside: a change of one alert, and the commands it asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, Literal

State = Literal["inactive", "pending", "firing", "resolved"]
Cause = Literal[
    "pending", "inactive", "firing", "escalated", "deescalated", "resolved", "no_data", "repeat", "removed"
]

LEVELS: Final = ("info", "warning", "critical")
"""The closed set, lowest first; a level's rank is its place here."""


@dataclass(frozen=True, slots=True)
class CommandIntent:
    """A command a transition asks for, its cooldown already applied. Times in ms."""

    name: str
    args: dict[str, Any]
    expires_ms: int
    confirm_within_ms: int | None = None
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of one alert.

    `id` stays the same from pending to resolved. `level` is the level after the change, for an alert that
    ends the one it had; `previous_level` is None where nothing fired before. `limit` is None for a condition,
    `value` None where none is known. `at` is device time in ms; (`boot`, `seq`) name the reading that caused
    the change, on a tick the device's newest one. `backlog`: the reading was too old at arrival to cause
    notices or commands. `notify`: the device gets a notice.
    """

    id: str
    group: str
    rule: str
    level: str
    previous_level: str | None
    state: State
    subject: str
    site: str
    device: int
    metric: str
    value: float | None
    limit: float | None
    at: int
    boot: int
    seq: int
    cause: Cause
    backlog: bool = False
    notify: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    commands: tuple[CommandIntent, ...] = ()


def alert_id(group: str, rule: str, subject: str, onset: int) -> str:
    """The name of an alert: a function of where and when (device time, ms) it began, so a replay repeats it."""
    text = "\0".join((group, rule, subject, str(onset)))
    return blake2b(text.encode(), digest_size=8).hexdigest()
