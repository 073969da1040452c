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

from fleet_wire.control_messages import AlertCause, AlertEvent, AlertState, Level

CommandState = Literal[
    "queued",
    "sent",
    "done",
    "rejected",
    "failed",
    "unconfirmed",
    "overtaken",
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
    """A command that a transition asks for, after its cooldown was checked. Times in ms.

    Attributes:
        id: which of the rule's commands it is.
        name: what the device is to do.
        read_at: device time of the reading that caused it, from which its age counts; None where time or an operator
            did, or the alert ends: then its age counts from the transition.
        closing: it undoes what commands of the rule did since the alert's onset, so nothing but the rate delays it.
    """

    id: str
    name: str
    args: dict[str, Any]
    expires_ms: int
    confirm_within_ms: int | None = None
    retries: int = 0
    read_at: int | None = None
    closing: bool = False


class Transition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change of one alert.

    Attributes:
        id: the same from pending to resolved, given at the onset (`alert_id`).
        level: the level after the change; of an alert that ends, the level it had.
        was: the level before the change; None where nothing fired.
        event, cause: what happened, and why. A wait that ends is `resolved`, with the state `inactive`.
        subject: the device, or the group of devices as `group_subject` calls it.
        value, limit: what was compared; None where nothing was read, or the rule is a condition.
        at: device time, of a group the gateway's, in ms; of one rule and subject each is later than the last.
        boot, seq: the reading that caused the change, on a tick the device's newest one; NO_READING if it sent none,
            and of groups.
        backlog: the reading was too old to cause a notice or a command: at arrival or, if it was time that made the
            alert fire, by then.
        notify: the device gets a notice; of a backlog reading only where that ends an alert with closing commands.
        suppressed: what muted its notice: silences, inhibits, flapping, an acknowledgement.
        held: ids of the commands that were muted with it.
        acked: somebody has acknowledged the alert.
        since: of a reminder the time of the last change, in ms; None otherwise.
    """

    id: str
    group: str
    rule: str
    level: Level
    was: Level | None = None
    state: AlertState
    event: AlertEvent
    cause: AlertCause
    subject: str
    site: str
    metric: str
    value: float | None = None
    limit: float | None = None
    at: int
    boot: int
    seq: int
    backlog: bool = False
    notify: bool = False
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    commands: tuple[CommandIntent, ...] = ()
    suppressed: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    acked: bool = False
    since: int | None = None


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
    *("id", "group", "rule", "level", "was", "state", "event", "cause", "subject", "site"),
    *("metric", "value", "limit", "at", "boot", "seq", "labels", "annotations"),
    *("suppressed", "held", "acked"),
)


def alert_row(transition: Transition) -> dict[str, Any]:
    """Return a transition as people read it: in the history and from `edge-gateway alerts`."""
    return {name: getattr(transition, name) for name in ALERT_COLUMNS}


def by_urgency(row: Mapping[str, Any]) -> tuple[int, int]:
    """Return the sort key of an alert's row: the highest level first, the newest of a level first."""
    return -LEVELS.index(row["level"]), -row["at"]


def group_subject(values: Mapping[str, str]) -> str:
    """Return what alerts call the group of devices with these values: `site=berlin, room=2`."""
    return ", ".join(f"{key}={value}" for key, value in values.items())


def alert_id(rule: str, subject: str, onset: int, record: int) -> str:
    """Return the id of an alert. A replay returns the same one, and no other alert has it.

    Args:
        rule: name of the rule.
        subject: the device.
        onset: when it began: device time, ms. Within a record those of one rule and subject differ.
        record: number of the journal record that it began with.
    """
    text = "\0".join((rule, subject, str(onset), str(record)))
    return blake2b(text.encode(), digest_size=8).hexdigest()
