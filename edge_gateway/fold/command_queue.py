"""Commands to devices: numbered, paced, confirmed, expired. Part of the fold: no clock, no socket.

    transition ─▶ queued ─▶ sent (n) ─▶ done | rejected | failed        acknowledged by the device
                    │         ├──────▶ unconfirmed                      not acknowledged in time
                    │         └──────▶ refused | failed                 refused by the broker: for now, or for good
                    └──▶ expired | expired_unknown | dry_run            never sent

A device has one unconfirmed command at a time; critical ones go first. A retry keeps id and n, so that the device
executes it once. A command that the broker refused was never delivered, and one whose n is not above the one that the
device holds was never executed: it goes back to waiting, and is sent with a new n until it expires.

Expiry counts from the reading, whose age is taken once, on arrival; from then on everything waits by monotonic time.
After a start under a clock that nobody has confirmed, what is pending may be older than it seems, since such a clock
may have stood still: it waits until the clock is sure, and then its age is taken again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from edge_gateway.fold.pending_command import CommandWork, PendingCommand, expiry
from edge_gateway.records.alerts import CommandChange, Transition
from edge_gateway.records.inputs import Moment
from fleet_config.durations import RateSpec
from fleet_wire.control_messages import Ack

Mode = Literal["live", "dry_run", "off"]

MOST_WAITING = 10_000
MOST_WAITING_A_DEVICE = 20
LEAST_BUCKETS = 64
"""Buckets are first searched for full ones at this number, then each time it doubles."""
SITE_LEFT = "its site is not this gateway's any more"
DOUBTED_FOR = 15_000
"""Milliseconds of the listening clock for which commands of an earlier start wait until the wall clock is sure."""
MOST_N = 1 << 62
"""A device that claims to hold a higher number is not believed: numbers end at twice that."""


@dataclass(slots=True)
class Bucket:
    """A token bucket; its level is computed when asked for. Times are monotonic ms."""

    tokens: float
    at: int

    @classmethod
    def full(cls, rate: RateSpec, at: int) -> Bucket:
        return cls(_capacity(rate), at)

    def level(self, rate: RateSpec, now: int) -> float:
        """Return the number of tokens at `now`."""
        filled = self.tokens + max(0, now - self.at) * rate.count / rate.per_ms
        return min(_capacity(rate), filled)

    def take(self, rate: RateSpec, now: int) -> None:
        """Use one token."""
        self.tokens, self.at = self.level(rate, now) - 1.0, now


def _capacity(rate: RateSpec) -> float:
    return float(max(rate.count, 1))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


class CommandQueue:
    """Every command that has not ended, and the last n of every device that was sent one."""

    def __init__(self, mode: Mode, per_device: RateSpec, total: RateSpec) -> None:
        self.mode = mode
        self.per_device = per_device
        self.total = total
        self.refused = 0
        """Commands that failed because too many were waiting."""
        self._waiting: dict[str, list[PendingCommand]] = {}
        self._sent: dict[str, PendingCommand] = {}
        self._last_n: dict[str, int] = {}
        self._buckets: dict[str, Bucket] = {}
        self._total = Bucket.full(total, 0)
        self._doubted_to = 0
        """The latest `doubted_to` of any command, 0 for none."""

    def __len__(self) -> int:
        return len(self._sent) + sum(map(len, self._waiting.values()))

    def waiting(self) -> Counter[str]:
        """Return the number of waiting commands by device."""
        return Counter({device: len(queue) for device, queue in self._waiting.items()})

    @property
    def busy(self) -> bool:
        """Whether `advance` may have something to do."""
        return bool(self._sent or self._waiting)

    def unconfirmed(self) -> list[PendingCommand]:
        """Return the commands that were sent and not acknowledged."""
        return list(self._sent.values())

    def to_send_again(self) -> list[PendingCommand]:
        """Return the unconfirmed commands that a restart sends at once: those whose age is not doubted."""
        return [sent for sent in self._sent.values() if not sent.doubted_to]

    def add(self, transitions: Iterable[Transition], moment: Moment) -> CommandWork:
        """Queue the commands that `transitions` ask for; `advance` sends them."""
        work = CommandWork()
        if self.mode == "off":
            return work
        for transition in transitions:
            for intent in transition.commands:
                command = PendingCommand.of(transition, intent, moment)
                work.changes.append(self._queued(command, moment.wall))
        return work

    def acknowledge(self, device: str, ack: Ack, wall: int) -> CommandWork:
        """End the command that `ack` answers, if it is the device's unconfirmed one.

        The next number goes above the one the device holds, which may be another gateway's, or one of this gateway
        that it lost with its journal. An unconfirmed command that is not above it was ignored, and waits again.
        """
        work = CommandWork()
        holds = ack.n if ack.n is not None and ack.n < MOST_N else 0
        if holds > self._last_n.get(device, 0):
            self._last_n[device] = holds
        sent = self._sent.get(device)
        if sent is not None and sent.id == ack.id:
            del self._sent[device]
            work.changes.append(sent.change(ack.outcome, wall, ack.detail))
        elif sent is not None and sent.n <= holds:
            self._put_back(sent, f"the device holds number {holds}, and this was number {sent.n}", wall, work)
        return work

    def undelivered(self, device: str, command: str, why: str, wall: int, *, for_good: bool) -> CommandWork:
        """Take note that the broker refused `command`; `for_good` ends it, otherwise it waits again.

        Does nothing when an earlier attempt may have reached the device.
        """
        work = CommandWork()
        sent = self._sent.get(device)
        if sent is None or sent.id != command or sent.attempts > 1:
            return work
        if for_good:
            del self._sent[device]
            work.changes.append(sent.change("failed", wall, why))
        else:
            self._put_back(sent, why, wall, work)
        return work

    def advance(self, moment: Moment) -> CommandWork:
        """Retry, expire and send what is due."""
        work = CommandWork()
        if self._doubted_to:
            self._settle_doubt(moment, work)
        for sent in list(self._sent.values()):
            self._retry_or_give_up(sent, moment, work)
        for device in list(self._waiting):
            self._expire(device, moment, work)
            self._send_next(device, moment, work)
        return work

    def forget(self, devices: Iterable[str]) -> None:
        """Forget the last n of retired devices; their pending commands still end as usual."""
        for device in devices:
            self._last_n.pop(device, None)

    def abandon(self, leaves: Callable[[str], bool], wall: int) -> CommandWork:
        """End the commands of sites for which `leaves` is true: another gateway owns their devices now."""
        work = CommandWork()
        for device in [device for device, sent in self._sent.items() if leaves(sent.site)]:
            work.changes.append(self._sent.pop(device).change("unconfirmed", wall, SITE_LEFT))
        for device in list(self._waiting):
            gone = self._remove(device, lambda command: leaves(command.site))
            work.changes.extend(command.change("expired", wall, SITE_LEFT) for command in gone)
        return work

    def expire_unknown(self, wall: int) -> CommandWork:
        """End every command, because their age is unknown."""
        work = CommandWork(changes=[command.change("expired_unknown", wall) for command in self._pending()])
        self._sent.clear()
        self._waiting.clear()
        return work

    def doubt(self, moment: Moment) -> bool:
        """Let every pending command wait until its age is known, or has not been called in question for a while.

        Returns whether there are any.
        """
        for command in self._pending():
            self._doubted_to = command.doubted_to = moment.listening + DOUBTED_FOR
        return self._doubted_to > 0

    def _settle_doubt(self, moment: Moment, work: CommandWork) -> None:
        """End or release doubted commands, once there is more to say of the wall clock or they waited long enough."""
        if moment.trusted and moment.least is not None and moment.listening < self._doubted_to:
            return
        self._doubted_to = 0
        for command in [command for command in self._pending() if command.doubted_to]:
            command.doubted_to, work.settled = 0, True
            if not moment.trusted:
                self._drop(command)
                work.changes.append(command.change("expired_unknown", moment.wall))
            elif moment.least is None:
                by_now = expiry(command.alert, command.intent, moment)
                command.expires_at = min(command.expires_at, by_now)
            if self._sent.get(command.device) is command and moment.monotonic < command.expires_at:
                command.sent_at, command.tried_at = moment.wall, moment.monotonic
                work.again.append(command)

    def _drop(self, command: PendingCommand) -> None:
        if self._sent.get(command.device) is command:
            del self._sent[command.device]
        else:
            self._remove(command.device, lambda one: one is command)

    def _pending(self) -> Iterator[PendingCommand]:
        yield from self._sent.values()
        for queue in self._waiting.values():
            yield from queue

    def _queued(self, command: PendingCommand, wall: int) -> CommandChange:
        if self.mode == "dry_run":
            return command.change("dry_run", wall)
        queue = self._waiting.get(command.device, [])
        if len(self) >= MOST_WAITING or len(queue) >= MOST_WAITING_A_DEVICE:
            self.refused += 1
            return command.change("failed", wall, "too many commands are waiting")
        self._waiting.setdefault(command.device, queue).append(command)
        return command.change("queued", wall)

    def _put_back(self, sent: PendingCommand, why: str, wall: int, work: CommandWork) -> None:
        """Let a command wait again that was not executed."""
        del self._sent[sent.device]
        work.changes.append(sent.change("refused", wall, why))
        sent.refusals += 1
        sent.refused = why
        self._waiting.setdefault(sent.device, []).append(sent)

    def _retry_or_give_up(self, sent: PendingCommand, moment: Moment, work: CommandWork) -> None:
        within, now = sent.intent.confirm_within_ms, moment.monotonic
        overdue = within is not None and now >= sent.tried_at + within
        if now >= sent.expires_at or (overdue and sent.attempts > sent.intent.retries):
            del self._sent[sent.device]
            work.changes.append(sent.change("unconfirmed", moment.wall, f"sent {_times(sent.attempts)}"))
        elif overdue and not sent.doubted_to:
            sent.sent_at, sent.tried_at = moment.wall, now
            sent.attempts += 1
            work.send.append(sent)

    def _expire(self, device: str, moment: Moment, work: CommandWork) -> None:
        for command in self._remove(device, lambda command: moment.monotonic >= command.expires_at):
            if command.refusals:
                why = f"{command.refused}; tried {_times(command.refusals)} until it expired"
                work.changes.append(command.change("refused", moment.wall, why))
            else:
                work.changes.append(command.change("expired", moment.wall))

    def _send_next(self, device: str, moment: Moment, work: CommandWork) -> None:
        """Send the device's first waiting command, unless one is unconfirmed or the rate is used up."""
        now = moment.monotonic
        ready = [command for command in self._waiting.get(device, ()) if command.may_be_sent(now)]
        if ready and device not in self._sent and self._takes_token(device, now):
            first = min(ready, key=lambda command: command.order)
            self._remove(device, lambda command: command is first)
            self._send(first, moment, work)

    def _remove(self, device: str, ends: Callable[[PendingCommand], bool]) -> list[PendingCommand]:
        """Take the waiting commands of a device for which `ends` is true out of its queue."""
        queue = self._waiting[device]
        gone = [command for command in queue if ends(command)]
        if len(gone) == len(queue):
            del self._waiting[device]
        elif gone:
            queue[:] = [command for command in queue if not ends(command)]
        return gone

    def _takes_token(self, device: str, now: int) -> bool:
        """Use one token of the device's bucket and one of the gateway's, if both have one."""
        bucket = self._buckets.get(device) or Bucket.full(self.per_device, now)
        if bucket.level(self.per_device, now) < 1.0 or self._total.level(self.total, now) < 1.0:
            return False
        bucket.take(self.per_device, now)
        self._buckets[device] = bucket
        self._total.take(self.total, now)
        if len(self._buckets) >= LEAST_BUCKETS and len(self._buckets).bit_count() == 1:
            self._forget_full_buckets(now)
        return True

    def _forget_full_buckets(self, now: int) -> None:
        """Drop the buckets that are full again: a device without one starts with a full one."""
        full, buckets = _capacity(self.per_device), self._buckets
        self._buckets = {
            device: bucket for device, bucket in buckets.items() if bucket.level(self.per_device, now) < full
        }

    def _send(self, command: PendingCommand, moment: Moment, work: CommandWork) -> None:
        command.n = self._last_n[command.device] = max(self._last_n.get(command.device, 0) + 1, moment.wall)
        command.sent_at, command.tried_at = moment.wall, moment.monotonic
        command.attempts = 1
        self._sent[command.device] = command
        work.send.append(command)
        work.changes.append(command.change("sent", moment.wall))

    def snapshot(self) -> dict[str, Any]:
        return {
            "waiting": [
                msgspec.to_builtins(command) for queue in self._waiting.values() for command in queue
            ],
            "sent": [msgspec.to_builtins(command) for command in self._sent.values()],
            "last_n": dict(self._last_n),
            "buckets": {device: [bucket.tokens, bucket.at] for device, bucket in self._buckets.items()},
            "total": [self._total.tokens, self._total.at],
            "refused": self.refused,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        waiting, sent = (msgspec.convert(state[name], list[PendingCommand]) for name in ("waiting", "sent"))
        self._waiting.clear()
        for command in waiting:
            self._waiting.setdefault(command.device, []).append(command)
        self._sent = {command.device: command for command in sent}
        self._last_n = dict(state["last_n"])
        self._buckets = {device: Bucket(*level) for device, level in state["buckets"].items()}
        self._total = Bucket(*state["total"])
        self.refused = state["refused"]
        self._doubted_to = max((command.doubted_to for command in self._pending()), default=0)
