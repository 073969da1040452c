"""Commands to devices: numbered, paced, confirmed, expired. Part of the fold: no clock, no socket.

    transition ─▶ queued ─▶ sent (n) ─▶ done | rejected | failed        acknowledged by the device
                    │         ├──────▶ unconfirmed                      not acknowledged in time
                    │         ├──────▶ overtaken                        a more urgent one was sent after it
                    │         └──────▶ refused | failed                 refused by the broker: for now, or for good
                    └──▶ expired | expired_unknown | overtaken | dry_run   never sent

Commands go in the order of the file, critical ones first. Only one that wants to be confirmed is awaited: until it is
answered, or given up, its device is sent nothing else. A retry keeps id and n, so that the device executes it once, and
would be ignored behind a higher n: what a critical command overtakes is not sent again. A command that the broker
refused was never delivered, and one whose n is not above the one that the device holds was never executed: it goes back
to waiting, and is sent with a new n until it expires.

The age of a reading is taken once, on arrival; from then on everything waits by monotonic time. A closing command
undoes what the others of its alert did: it expires only after it was first sent. After a start under a clock that
nobody has confirmed, what is pending may be older than it seems, since such a clock may have stood still: it waits
until the clock is sure, and then its age is taken again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from edge_gateway.fold.command_rates import CommandRates
from edge_gateway.fold.pending_command import NEVER, CommandWork, PendingCommand
from edge_gateway.fold.sent_commands import SentCommands
from edge_gateway.records.alerts import Transition
from edge_gateway.records.inputs import Moment
from fleet_config.durations import RateSpec
from fleet_wire.control_messages import Ack

Mode = Literal["live", "dry_run", "off"]

MOST_WAITING = 10_000
MOST_WAITING_A_DEVICE = 20
SITE_LEFT = "its site is not this gateway's any more"
TOO_OLD = "its reading is older than commands.max_reading_age"
DOUBTED_FOR = 15_000
"""Milliseconds of the listening clock for which commands of an earlier start wait until the wall clock is sure."""
MOST_N = 1 << 62
"""A device that claims to hold a higher number is not believed: numbers end at twice that."""


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


class CommandQueue:
    """Every command that has not ended, and the last n of every device that was sent one."""

    def __init__(self, mode: Mode, per_device: RateSpec, total: RateSpec, max_reading_age: int) -> None:
        self.mode = mode
        self.max_reading_age = max_reading_age
        self.rates = CommandRates(per_device, total)
        self.refused = 0
        """Commands that failed because too many were waiting."""
        self._given = 0
        """Number of commands so far."""
        self._waiting: dict[str, list[PendingCommand]] = {}
        self._sent = SentCommands()
        self._last_n: dict[str, int] = {}
        self._doubted_to = 0
        """The latest `doubted_to` of any command, 0 for none."""

    def __len__(self) -> int:
        return len(self._sent) + sum(map(len, self._waiting.values()))

    @property
    def awaiting(self) -> int:
        """Number of commands that wait, or whose device's next one waits for their answer: at most MOST_WAITING."""
        return len(self._sent.awaited) + sum(map(len, self._waiting.values()))

    def waiting(self) -> Counter[str]:
        """Return the number of waiting commands by device."""
        return Counter({device: len(queue) for device, queue in self._waiting.items()})

    @property
    def busy(self) -> bool:
        """Whether `advance` may have something to do."""
        return bool(self._sent or self._waiting)

    def unconfirmed(self) -> list[PendingCommand]:
        """Return the commands that were sent and have not ended, those of a device by their numbers."""
        return self._sent.all()

    def to_send_again(self) -> list[PendingCommand]:
        """Return the unconfirmed commands that a restart sends at once: those whose age is not doubted."""
        return [sent for sent in self._sent.all() if not sent.doubted_to]

    def add(self, transitions: Iterable[Transition], moment: Moment) -> CommandWork:
        """Queue the commands that `transitions` ask for; `advance` sends them."""
        work = CommandWork()
        if self.mode == "off":
            return work
        for transition in transitions:
            for intent in transition.commands:
                self._given += 1
                command = PendingCommand.of(transition, intent, moment, self._given, self.max_reading_age)
                self._queue(command, moment.wall, work)
        return work

    def acknowledge(self, device: str, ack: Ack, wall: int) -> CommandWork:
        """End the command that `ack` answers, if it is an unconfirmed one of the device.

        The next number goes above the one the device holds, which may be another gateway's, or one of this gateway
        that it lost with its journal. Unconfirmed commands that are not above such a number were ignored, and wait
        again.
        """
        work, sent_to = CommandWork(), self._sent.of(device)
        given = max([self._last_n.get(device, 0), *(sent.n for sent in sent_to)])
        holds = ack.n if ack.n is not None and ack.n < MOST_N else 0
        if holds > given:
            self._last_n[device] = holds
        for sent in sent_to:
            if sent.id == ack.id:
                self._sent.end(sent)
                work.changes.append(sent.change(ack.outcome, wall, ack.detail))
            elif holds > given:
                why = f"the device holds number {holds}, and this was number {sent.n}"
                self._put_back(sent, why, wall, work)
        return work

    def undelivered(self, device: str, command: str, why: str, wall: int, *, for_good: bool) -> CommandWork:
        """Take note that the broker refused `command`; `for_good` ends it, otherwise it waits again.

        Does nothing when an earlier attempt may have reached the device.
        """
        work = CommandWork()
        sent = next((one for one in self._sent.of(device) if one.id == command), None)
        if sent is None or sent.attempts > 1:
            return work
        if for_good:
            self._sent.end(sent)
            work.changes.append(sent.change("failed", wall, why))
        else:
            self._put_back(sent, why, wall, work)
        return work

    def advance(self, moment: Moment) -> CommandWork:
        """Retry, expire and send what is due."""
        work = CommandWork()
        if self._doubted_to:
            self._settle_doubt(moment, work)
        for sent in self._sent.all():
            self._retry_or_give_up(sent, moment, work)
        for device in list(self._waiting):
            self._expire(device, moment, work)
            while self._send_next(device, moment, work):
                pass
        return work

    def forget(self, devices: Iterable[str]) -> None:
        """Forget the last n of retired devices; their pending commands still end as usual."""
        for device in devices:
            self._last_n.pop(device, None)

    def abandon(self, leaves: Callable[[str], bool], wall: int) -> CommandWork:
        """End the commands of sites for which `leaves` is true: another gateway owns their devices now."""
        work = CommandWork()
        for sent in [sent for sent in self._sent.all() if leaves(sent.site)]:
            self._sent.end(sent)
            work.changes.append(sent.change("unconfirmed", wall, SITE_LEFT))
        for device in list(self._waiting):
            gone = self._remove(device, lambda command: leaves(command.site))
            work.changes.extend(command.change("expired", wall, SITE_LEFT) for command in gone)
        return work

    def expire_unknown(self, wall: int) -> CommandWork:
        """End every command whose age is unknown now, but for those that are right however late they are sent."""
        gone = [command for command in self._pending() if not command.ageless]
        for command in gone:
            self._drop(command)
        return CommandWork(changes=[command.change("expired_unknown", wall) for command in gone])

    def doubt(self, moment: Moment) -> bool:
        """Let every pending command wait until its age is known, or has not been called in question for a while.

        Returns whether there are any.
        """
        for command in self._pending():
            if not command.ageless:
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
                command.age_again(moment, self.max_reading_age)
            if self._sent.has(command) and not command.expired(moment.monotonic):
                command.sent_at, command.tried_at = moment.wall, moment.monotonic
                work.again.append(command)

    def _drop(self, command: PendingCommand) -> None:
        if not self._sent.end(command):
            self._remove(command.device, lambda one: one is command)

    def _pending(self) -> Iterator[PendingCommand]:
        yield from self._sent.all()
        for queue in self._waiting.values():
            yield from queue

    def _queue(self, command: PendingCommand, wall: int, work: CommandWork) -> None:
        if self.mode == "dry_run":
            work.changes.append(command.change("dry_run", wall))
            return
        queue = self._waiting.get(command.device, [])
        full = self.awaiting >= MOST_WAITING or len(queue) >= MOST_WAITING_A_DEVICE
        if full and not (command.intent.closing and self._make_room(queue, wall, work)):
            self._fail(command, wall, work)
            return
        self._waiting.setdefault(command.device, []).append(command)
        work.changes.append(command.change("queued", wall))

    def _make_room(self, queue: list[PendingCommand], wall: int, work: CommandWork) -> bool:
        """Let the last waiting command of a device fail for a closing one; False where all of them are closing."""
        last = max((one for one in queue if not one.intent.closing), key=lambda one: one.order, default=None)
        if last is not None:
            self._drop(last)
            self._fail(last, wall, work)
        return last is not None

    def _fail(self, command: PendingCommand, wall: int, work: CommandWork) -> None:
        self.refused += 1
        work.changes.append(command.change("failed", wall, "too many commands are waiting"))

    def _put_back(self, sent: PendingCommand, why: str, wall: int, work: CommandWork) -> None:
        """Let a command wait again that was not executed."""
        self._sent.end(sent)
        work.changes.append(sent.change("refused", wall, why))
        sent.refusals += 1
        sent.refused = why
        self._waiting.setdefault(sent.device, []).append(sent)

    def _retry_or_give_up(self, sent: PendingCommand, moment: Moment, work: CommandWork) -> None:
        within, now = sent.intent.confirm_within_ms, moment.monotonic
        overdue = within is not None and now >= sent.tried_at + within
        last = sent.attempts > sent.intent.retries or now >= sent.send_by
        if now >= sent.expires_at or (overdue and last):
            self._give_up(sent, moment.wall, work)
        elif overdue and not sent.doubted_to:
            sent.sent_at, sent.tried_at = moment.wall, now
            sent.attempts += 1
            work.send.append(sent)

    def _give_up(self, sent: PendingCommand, wall: int, work: CommandWork) -> None:
        self._sent.end(sent)
        work.changes.append(sent.change("unconfirmed", wall, f"sent {_times(sent.attempts)}"))

    def _expire(self, device: str, moment: Moment, work: CommandWork) -> None:
        now = moment.monotonic
        for command in self._remove(device, lambda command: command.expired(now)):
            if command.refusals:
                why = f"{command.refused}; tried {_times(command.refusals)} until it expired"
                work.changes.append(command.change("refused", moment.wall, why))
            else:
                why = TOO_OLD if now < command.expires_at else ""
                work.changes.append(command.change("expired", moment.wall, why))

    def _send_next(self, device: str, moment: Moment, work: CommandWork) -> bool:
        """Send the first waiting command of a device; False where it must wait for an answer or the rate."""
        now, awaited = moment.monotonic, self._sent.awaited.get(device)
        ready = [command for command in self._waiting.get(device, ()) if command.may_be_sent(now)]
        first = min(ready, key=lambda command: command.order, default=None)
        if first is None or (awaited is not None and not first.overtakes(awaited)):
            return False
        if not self.rates.take(device, now):
            return False
        self._remove(device, lambda command: command is first)
        self._end_overtaken(first, moment.wall, work)
        self._send(first, moment, work)
        return True

    def _end_overtaken(self, first: PendingCommand, wall: int, work: CommandWork) -> None:
        """End what must not be executed after `first`: the awaited command, and what it replaces and still waits."""
        awaited = self._sent.awaited.get(first.device)
        ended = [] if awaited is None else [awaited]
        ended += [one for one in self._waiting.get(first.device, ()) if first.replaces(one)]
        for command in ended:
            self._drop(command)
            work.changes.append(command.change("overtaken", wall, f"{first.intent.name} was sent"))

    def _remove(self, device: str, ends: Callable[[PendingCommand], bool]) -> list[PendingCommand]:
        """Take the waiting commands of a device for which `ends` is true out of its queue."""
        queue = self._waiting[device]
        gone = [command for command in queue if ends(command)]
        if len(gone) == len(queue):
            del self._waiting[device]
        elif gone:
            queue[:] = [command for command in queue if not ends(command)]
        return gone

    def _send(self, command: PendingCommand, moment: Moment, work: CommandWork) -> None:
        command.n = self._last_n[command.device] = max(self._last_n.get(command.device, 0) + 1, moment.wall)
        command.sent_at, command.tried_at = moment.wall, moment.monotonic
        command.attempts = 1
        if command.expires_at == NEVER:
            command.expires_at = moment.monotonic + command.intent.expires_ms
        self._sent.add(command)
        work.send.append(command)
        work.changes.append(command.change("sent", moment.wall))
        too_many = self._sent.too_many(command.device)
        if too_many is not None:
            self._give_up(too_many, moment.wall, work)

    def snapshot(self) -> dict[str, Any]:
        waiting = [command for queue in self._waiting.values() for command in queue]
        return {
            "waiting": [msgspec.to_builtins(command) for command in waiting],
            "sent": [msgspec.to_builtins(command) for command in self._sent.all()],
            "given": self._given,
            "last_n": dict(self._last_n),
            "rates": self.rates.snapshot(),
            "refused": self.refused,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        waiting, sent = (msgspec.convert(state[name], list[PendingCommand]) for name in ("waiting", "sent"))
        self._waiting.clear()
        for command in waiting:
            self._waiting.setdefault(command.device, []).append(command)
        self._sent = SentCommands(sent)
        self._given = state["given"]
        self._last_n = dict(state["last_n"])
        self.rates.restore(state["rates"])
        self.refused = state["refused"]
        self._doubted_to = max((command.doubted_to for command in self._pending()), default=0)
