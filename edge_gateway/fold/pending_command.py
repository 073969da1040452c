"""A command that has not ended, when it expires, and what a step of the queue leads to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from edge_gateway.records.alerts import LEVELS, CommandChange, CommandIntent, CommandState, Transition
from edge_gateway.records.inputs import Moment

REFUSED_FIRST, REFUSED_MOST = 5_000, 60_000
"""Milliseconds before a refused command is sent again: the wait doubles from the first to the second."""
MOST_DOUBLINGS = 7


NEVER: Final = 1 << 62
"""When a command expires that nothing but the rate delays, until it is first sent."""


def born_at(since: int, moment: Moment) -> int:
    """Return the monotonic ms at which wall time `since` was, to which the age of a command goes back.

    It is taken to be as old as it says only where the wall clock is trusted, and never to be of the future.
    """
    return moment.monotonic - (max(0, moment.wall - since) if moment.trusted else 0)


@dataclass(slots=True)
class PendingCommand:
    """A command that has not ended: what was asked, and how far it got.

    A record of its own beside `CommandChange`: a change is an event and never altered, this is the state behind it.

    Attributes:
        alert: the transition that caused the command.
        number: grows from command to command of the queue; one of several in a transition has the next in the file.
        since: from when its age counts, wall ms: the time of the reading that caused it, else of the transition.
        send_by: monotonic ms until which it may be sent: then its reading is too old.
        expires_at: monotonic ms until which it may be sent and delivered; of a closing command NEVER until it is sent.
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
    number: int
    since: int
    send_by: int
    expires_at: int
    n: int = 0
    sent_at: int = 0
    tried_at: int = 0
    attempts: int = 0
    refusals: int = 0
    refused: str = ""
    doubted_to: int = 0

    @classmethod
    def of(
        cls, alert: Transition, intent: CommandIntent, moment: Moment, number: int, max_age: int
    ) -> PendingCommand:
        """Return the command that `intent` of `alert` asks for; a replay gives it the same id.

        `max_age`: how old its reading may be when it is sent, ms.
        """
        name = f"{alert.id}\0{intent.id}\0{alert.event}\0{alert.at}"
        digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
        since, of_reading = intent.read_at, intent.read_at is not None
        if since is None:
            since = moment.wall if moment.trusted else alert.at
        born = born_at(since, moment) if of_reading else moment.monotonic
        return cls(
            digest,
            intent,
            alert,
            number,
            since,
            send_by=born + max_age if of_reading else NEVER,
            expires_at=NEVER if intent.closing else born + intent.expires_ms,
        )

    def age_again(self, moment: Moment, max_age: int) -> None:
        """Take its age anew, now that the wall clock is sure: it may be older than it seemed."""
        born = born_at(self.since, moment)
        self.expires_at = min(self.expires_at, born + self.intent.expires_ms)
        if self.intent.read_at is not None:
            self.send_by = min(self.send_by, born + max_age)

    @property
    def device(self) -> str:
        return self.alert.subject

    @property
    def site(self) -> str:
        return self.alert.site

    @property
    def order(self) -> tuple[int, int]:
        """Sort key among the commands of a device: the most severe first, then in the order of the file."""
        return -LEVELS.index(self.alert.level), self.number

    @property
    def is_confirmed(self) -> bool:
        """Whether the device's next command waits for its acknowledgement."""
        return self.intent.confirm_within_ms is not None

    @property
    def ageless(self) -> bool:
        """Whether it is right however late it is sent."""
        return self.intent.closing and not self.attempts

    def expired(self, now: int) -> bool:
        """Whether it may not be sent any more at `now`, monotonic ms."""
        return now >= min(self.expires_at, self.send_by)

    def overtakes(self, awaited: PendingCommand) -> bool:
        """Whether it need not wait for an answer to the `awaited` command: it is critical, or undoes that."""
        critical = self.alert.level == "critical" != awaited.alert.level
        return critical or (self.intent.closing and self.replaces(awaited))

    def replaces(self, other: PendingCommand) -> bool:
        """Whether an earlier change of the same alert gave `other`: executed after this one, it would be wrong."""
        own, others = self.alert, other.alert
        same = (own.rule, own.subject) == (others.rule, others.subject)
        return same and self.number > other.number and own != others

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
