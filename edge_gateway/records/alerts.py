"""An alert transition and the commands it leads to: one record each, from the fold to the journal and the store.

rules ─▶ Transition ─┬─▶ journal, as it is
├─▶ wire: fold.messages.alert_on_the_wire
├─▶ history, `edge-gateway alerts`: alert_row
└─▶ InfluxDB: store.line_protocol.render_alert
└ CommandIntent ─▶ fold.command_queue ─▶ CommandChange ─▶ journal, history
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final, Literal

import msgspec

from fleet_wire.control_messages import AlertState, Level

Cause = Literal[
    "pending",
    "inactive",
    "firing",
    "escalated",
    "deescalated",
    "resolved",
    "no_data",
    "repeat",
    "removed",
    "expired",
    "schedule",
]
CommandState = Literal[
    "queued",
    "sent",
    "done",
    "rejected",
    "failed",
    "unconfirmed",
    "refused",
    "expired",
    "expired_unknown",
    "dry_run",
]

NO_READING: Final = -1
"""Boot and seq of a device that has sent nothing."""
LEVELS: Final[tuple[Level, ...]] = ("info", "warning", "critical")
"""All levels, lowest first; a level's rank is its index here."""


class CommandIntent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A command that a transition asks for, after its cooldown was checked. Times in ms."""

    name: str
    args: dict[str, Any]
    expires_ms: int
    confirm_within_ms: int | None = None
    retries: int = 0


class Transition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change of one alert.

    Attributes:
        id: the same from pending to resolved (`alert_id`).
        level: the level after the change; of an alert that ends, the level it had.
        previous_level: the level before the change; None where nothing fired.
        subject: the device.
        value, limit: what was compared; None where no value is known, or the rule is a condition.
        at: device time, in ms.
        boot, seq: the reading that caused the change, on a tick the device's newest one; NO_READING if it sent none.
        backlog: the reading was too old to cause a notice or a command: at arrival or, if it was time that made the
            alert fire, by then.
        notify: the device gets a notice; never of a backlog reading.
    """

    id: str
    group: str
    rule: str
    level: Level
    previous_level: Level | None = None
    state: AlertState
    subject: str
    site: str
    metric: str
    value: float | None = None
    limit: float | None = None
    at: int
    boot: int
    seq: int
    cause: Cause
    backlog: bool = False
    notify: bool = False
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    commands: tuple[CommandIntent, ...] = ()


class CommandChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A command's new state, at `at` (wall ms); the history keeps the newest by `id`.

    `n` is None before the command is first sent. `detail` says why, where the state alone does not.
    """

    id: str
    n: int | None
    device: str
    name: str
    args: dict[str, Any]
    state: CommandState
    at: int
    detail: str = ""


ALERT_COLUMNS: Final = (
    *("id", "group", "rule", "level", "state", "subject", "site", "metric", "value", "limit", "at"),
    *("boot", "seq", "cause", "labels", "annotations"),
)


def alert_row(transition: Transition) -> dict[str, Any]:
    """Return a transition as people read it: in the history and from `edge-gateway alerts`."""
    return {name: getattr(transition, name) for name in ALERT_COLUMNS}


def by_urgency(row: Mapping[str, Any]) -> tuple[int, int]:
    """Return the sort key of an alert's row: the highest level first, the newest of a level first."""
    return -LEVELS.index(row["level"]), -row["at"]


def alert_id(group: str, rule: str, subject: str, onset: int) -> str:
    """Return the id of an alert that began at `onset` (device time, ms). A replay returns the same one."""
    text = "\0".join((group, rule, subject, str(onset)))
    return blake2b(text.encode(), digest_size=8).hexdigest()
