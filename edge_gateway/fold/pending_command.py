"""A command that has not ended, when it expires, and what a step of the queue leads to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from edge_gateway.records.alerts import LEVELS, CommandChange, CommandIntent, CommandState, Transition
from edge_gateway.records.inputs import Moment

REFUSED_FIRST, REFUSED_MOST = 5_000, 60_000
"""Milliseconds before a refused command is sent again: the wait doubles from the first to the second."""
MOST_DOUBLINGS = 7


def expiry(alert: Transition, intent: CommandIntent, moment: Moment) -> int:
    """Return when a command that `alert` asks for expires, monotonic ms.

    A reading is taken to be as old as it says only where the wall clock is trusted, and never to be of the future.
    """
    age = max(0, moment.wall - alert.at) if moment.trusted else 0
    return moment.monotonic - age + intent.expires_ms


@dataclass(slots=True)
class PendingCommand:
    """A command that has not ended: what was asked, and how far it got.

    A record of its own beside `CommandChange`: a change is an event and never altered, this is the state behind it.

    Attributes:
        alert: the transition that caused the command.
        expires_at: monotonic ms.
        n: 0 until it is first sent.
        sent_at: when it was last sent, as the device is told: wall ms.
        tried_at: the same in monotonic ms, by which it is sent again.
        attempts: how often it was sent with this n.
        refusals, refused: how often it was refused, and why it was last.
        doubted_to: ms of the listening clock until which it is not sent, because its age is doubtful; 0 if it is not.
    """

    id: str
    intent: CommandIntent
    alert: Transition
    expires_at: int
    n: int = 0
    sent_at: int = 0
    tried_at: int = 0
    attempts: int = 0
    refusals: int = 0
    refused: str = ""
    doubted_to: int = 0

    @classmethod
    def of(cls, alert: Transition, intent: CommandIntent, moment: Moment) -> PendingCommand:
        """Return the command that `intent` of `alert` asks for; a replay gives it the same id."""
        name = f"{alert.id}\0{intent.name}\0{alert.event}\0{alert.at}"
        digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
        return cls(digest, intent, alert, expiry(alert, intent, moment))

    @property
    def device(self) -> str:
        return self.alert.subject

    @property
    def site(self) -> str:
        return self.alert.site

    @property
    def order(self) -> tuple[int, int, str]:
        """Sort key among the commands of a device: the most severe first, then the oldest."""
        return -LEVELS.index(self.alert.level), self.alert.at, self.id

    def may_be_sent(self, now: int) -> bool:
        """Whether the wait after a refusal is over at `now`, in monotonic ms, and its age is not doubted."""
        if self.doubted_to or not self.refusals:
            return not self.doubted_to
        wait = min(REFUSED_FIRST << min(self.refusals - 1, MOST_DOUBLINGS), REFUSED_MOST)
        return now >= self.tried_at + wait

    def change(self, state: CommandState, wall: int, detail: str = "") -> CommandChange:
        """Return the record that the command is in `state` from `wall` on."""
        intent = self.intent
        return CommandChange(
            self.id, self.n or None, self.device, intent.name, intent.args, state, wall, detail
        )


@dataclass(slots=True)
class CommandWork:
    """What a call to the queue leads to: commands to send, and changes to journal.

    Those to send `again` an earlier start may have sent. `settled`: pending commands are doubted no more.
    """

    send: list[PendingCommand] = field(default_factory=list)
    again: list[PendingCommand] = field(default_factory=list)
    changes: list[CommandChange] = field(default_factory=list)
    settled: bool = False

    def __bool__(self) -> bool:
        return bool(self.send or self.again or self.changes or self.settled)
