"""Commands on their way to devices: numbered, paced, confirmed, expired. Part of the fold: no clock, no socket.

    transition ─▶ queued ─▶ sent (n) ─▶ done | rejected | failed        the device acknowledged
                    │         ├──────▶ unconfirmed                      nobody acknowledged in time
                    │         └──────▶ refused | failed                 the broker does not take it, now or ever
                    └──▶ expired | expired_unknown | dry_run            it was never sent

One unconfirmed command a device at a time, critical first. A retry keeps id and n, so a device executes it once. What
the broker refused was never delivered: it waits beside the others, and is sent with a new n until it expires.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import msgspec

from edge_gateway.fold.alert_wire import alert_of
from edge_gateway.records.alerts import CommandIntent, Transition
from fleet_config.durations import RateSpec

Mode = Literal["live", "dry_run", "off"]

MOST_WAITING = 10_000
MOST_WAITING_A_DEVICE = 20
LEAST_BUCKETS = 64
SITE_LEFT = "its site is not this gateway's any more"
REFUSED_FIRST, REFUSED_MOST = 5_000, 60_000
"""Milliseconds until a command that the broker refused is sent anew; twice as many each time."""
URGENCY = {"critical": 0, "warning": 1, "info": 2}


@dataclass(slots=True)
class PendingCommand:
    """One command for one device. Times are wall milliseconds; `n` is 0 until it is first sent.

    `alert` is what caused it, as it stands on the wire. `refused` is why the broker did not take it, as often as
    `refusals` says.
    """

    id: str
    device: str
    site: str
    name: str
    args: dict[str, Any]
    level: str
    alert: dict[str, Any]
    at: int
    expires_at: int
    confirm_within: int | None
    retries: int
    n: int = 0
    sent_at: int = 0
    attempts: int = 0
    refusals: int = 0
    refused: str = ""

    def may_go(self, wall: int) -> bool:
        """Whether it has waited long enough since the broker refused it; a clock that went back ends the wait."""
        wait = min(REFUSED_FIRST << min(self.refusals, 8) >> 1, REFUSED_MOST) if self.refusals else 0
        return not self.sent_at <= wall < self.sent_at + wait


@dataclass(frozen=True, slots=True)
class CommandEvent:
    """What became of a command, for the store: `state` is one of the words in the picture above."""

    id: str
    n: int
    device: str
    site: str
    name: str
    args: Mapping[str, Any]
    state: str
    at: int
    alert: str
    detail: str = ""


@dataclass(slots=True)
class CommandWork:
    """What a step asks for: messages to send and events to store."""

    send: list[PendingCommand] = field(default_factory=list)
    events: list[CommandEvent] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.send or self.events)


@dataclass(slots=True)
class Bucket:
    """A token bucket whose level is only computed when it is asked."""

    tokens: float
    at: int

    def level(self, rate: RateSpec, now: int) -> float:
        """Tokens there are at `now`."""
        filled = self.tokens + max(0, now - self.at) * rate.count / rate.per_ms
        return min(float(max(rate.count, 1)), filled)

    def take(self, rate: RateSpec, now: int) -> None:
        """Use one token."""
        self.tokens, self.at = self.level(rate, now) - 1.0, now


def command_id(transition: Transition, intent: CommandIntent) -> str:
    """The same transition always gives the same id, so a replay never makes a second command."""
    name = f"{transition.id}\0{intent.name}\0{transition.cause}\0{transition.at}"
    return hashlib.blake2b(name.encode(), digest_size=8).hexdigest()


class CommandQueue:
    """All commands that are neither finished nor forgotten."""

    def __init__(self, mode: Mode, per_device: RateSpec, total: RateSpec) -> None:
        self.mode = mode
        self.per_device = per_device
        self.total = total
        self.refused = 0
        self._waiting: dict[str, list[PendingCommand]] = {}
        self._sent: dict[str, PendingCommand] = {}
        self._last_n: dict[str, int] = {}
        self._buckets: dict[str, Bucket] = {}
        self._total = Bucket(max(total.count, 1), 0)

    def __len__(self) -> int:
        return len(self._sent) + sum(map(len, self._waiting.values()))

    def waiting(self) -> Counter[str]:
        """Commands that wait, by device."""
        return Counter({device: len(queue) for device, queue in self._waiting.items()})

    @property
    def busy(self) -> bool:
        """Whether time alone can change anything here."""
        return bool(self._sent or self._waiting)

    def in_flight(self) -> list[PendingCommand]:
        """Sent and not confirmed: what a restart sends again."""
        return list(self._sent.values())

    def take(self, transitions: Iterable[Transition], wall: int) -> CommandWork:
        """Accept what the rules ask for. Call `advance` afterwards to send."""
        work = CommandWork()
        if self.mode == "off":
            return work
        for transition in transitions:
            for intent in transition.commands:
                self._accept(_order(transition, intent), wall, work)
        return work

    def acknowledge(self, device: str, command: str, outcome: str, detail: str, wall: int) -> CommandWork:
        """The device's answer to `command`; an answer nobody waits for is ignored."""
        work = CommandWork()
        order = self._sent.get(device)
        if order is not None and order.id == command:
            del self._sent[device]
            work.events.append(_event(order, outcome, wall, detail))
        return work

    def undelivered(self, device: str, command: str, why: str, wall: int, *, for_good: bool) -> CommandWork:
        """The broker did not take `command`. One that was sent before stays: the device may have it."""
        work = CommandWork()
        order = self._sent.get(device)
        if order is None or order.id != command or order.attempts > 1:
            return work
        del self._sent[device]
        if for_good:
            work.events.append(_event(order, "failed", wall, why))
            return work
        order.refusals += 1
        order.refused = why
        self._waiting.setdefault(device, []).append(order)
        work.events.append(_event(order, "refused", wall, why))
        return work

    def advance(self, wall: int, *, trusted: bool = True) -> CommandWork:
        """Retry, expire and send what is due at `wall`."""
        work = CommandWork()
        for device, order in list(self._sent.items()):
            self._look_after(device, order, wall, trusted, work)
        for device in list(self._waiting):
            self._serve(device, wall, trusted, work)
        return work

    def forget(self, devices: Iterable[str]) -> None:
        """Forget retired devices. What still waits for one ends as any command does."""
        for device in devices:
            self._last_n.pop(device, None)

    def abandon(self, leaves: Callable[[str], bool], wall: int) -> CommandWork:
        """End what is pending for sites that `leaves` names: their devices answer another gateway now."""
        work = CommandWork()
        for device in [device for device, order in self._sent.items() if leaves(order.site)]:
            work.events.append(_event(self._sent.pop(device), "unconfirmed", wall, SITE_LEFT))
        for device, queue in list(self._waiting.items()):
            gone = [order for order in queue if leaves(order.site)]
            work.events.extend(_event(order, "expired", wall, SITE_LEFT) for order in gone)
            queue[:] = [order for order in queue if not leaves(order.site)]
            if not queue:
                del self._waiting[device]
        return work

    def distrust(self, wall: int) -> CommandWork:
        """End everything that is pending: after a start without a trusted clock nobody knows its age."""
        work = CommandWork()
        pending = [*self._sent.values(), *(order for queue in self._waiting.values() for order in queue)]
        work.events.extend(_event(order, "expired_unknown", wall) for order in pending)
        self._sent.clear()
        self._waiting.clear()
        return work

    def _accept(self, order: PendingCommand, wall: int, work: CommandWork) -> None:
        if self.mode == "dry_run":
            work.events.append(_event(order, "dry_run", wall))
            return
        queue = self._waiting.get(order.device, [])
        if len(self) >= MOST_WAITING or len(queue) >= MOST_WAITING_A_DEVICE:
            self.refused += 1
            work.events.append(_event(order, "failed", wall, "too many commands are waiting"))
            return
        self._waiting.setdefault(order.device, queue).append(order)
        work.events.append(_event(order, "queued", wall))

    def _look_after(
        self,
        device: str,
        order: PendingCommand,
        wall: int,
        trusted: bool,
        work: CommandWork,
    ) -> None:
        overdue = order.confirm_within is not None and wall >= order.sent_at + order.confirm_within
        expired = trusted and wall >= order.expires_at
        if expired or (overdue and order.attempts > order.retries):
            del self._sent[device]
            work.events.append(_event(order, "unconfirmed", wall, f"sent {order.attempts} times"))
        elif overdue:
            order.sent_at = wall
            order.attempts += 1
            work.send.append(order)

    def _serve(self, device: str, wall: int, trusted: bool, work: CommandWork) -> None:  # noqa: FBT001
        queue = self._waiting[device]
        for order in [order for order in queue if trusted and wall >= order.expires_at]:
            queue.remove(order)
            work.events.append(_ended_waiting(order, wall))
        ready = [order for order in queue if order.may_go(wall)]
        if ready and device not in self._sent and self._may_send(device, wall):
            order = min(ready, key=lambda one: (URGENCY[one.level], one.at, one.id))
            queue.remove(order)
            self._send(order, wall, work)
        if not queue:
            del self._waiting[device]

    def _may_send(self, device: str, wall: int) -> bool:
        bucket = self._buckets.get(device) or Bucket(max(self.per_device.count, 1), wall)
        if bucket.level(self.per_device, wall) < 1.0 or self._total.level(self.total, wall) < 1.0:
            return False
        bucket.take(self.per_device, wall)
        self._buckets[device] = bucket
        self._total.take(self.total, wall)
        if len(self._buckets) >= LEAST_BUCKETS and len(self._buckets).bit_count() == 1:
            self._forget_full(wall)
        return True

    def _forget_full(self, wall: int) -> None:
        """Forget the buckets that are full again: a device without one has as much."""
        full, buckets = float(max(self.per_device.count, 1)), self._buckets
        self._buckets = {
            device: bucket for device, bucket in buckets.items() if bucket.level(self.per_device, wall) < full
        }

    def _send(self, order: PendingCommand, wall: int, work: CommandWork) -> None:
        order.n = max(self._last_n.get(order.device, 0) + 1, wall)
        order.sent_at = wall
        order.attempts = 1
        self._last_n[order.device] = order.n
        self._sent[order.device] = order
        work.send.append(order)
        work.events.append(_event(order, "sent", wall))

    def snapshot(self) -> dict[str, Any]:
        return {
            "waiting": [asdict(order) for queue in self._waiting.values() for order in queue],
            "sent": [asdict(order) for order in self._sent.values()],
            "last_n": dict(self._last_n),
            "buckets": {device: [bucket.tokens, bucket.at] for device, bucket in self._buckets.items()},
            "total": [self._total.tokens, self._total.at],
            "refused": self.refused,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._waiting.clear()
        for order in (PendingCommand(**plain) for plain in state["waiting"]):
            self._waiting.setdefault(order.device, []).append(order)
        self._sent = {plain["device"]: PendingCommand(**plain) for plain in state["sent"]}
        self._last_n = dict(state["last_n"])
        self._buckets = {device: Bucket(*level) for device, level in state["buckets"].items()}
        self._total = Bucket(*state["total"])
        self.refused = state["refused"]


def _ended_waiting(order: PendingCommand, wall: int) -> CommandEvent:
    """What becomes of a command that expired before any broker took it."""
    if not order.refusals:
        return _event(order, "expired", wall)
    return _event(order, "refused", wall, f"{order.refused}; tried {order.refusals} times until it expired")


def _order(transition: Transition, intent: CommandIntent) -> PendingCommand:
    return PendingCommand(
        id=command_id(transition, intent),
        device=transition.subject,
        site=transition.site,
        name=intent.name,
        args=dict(intent.args),
        level=transition.level,
        alert=msgspec.to_builtins(alert_of(transition)),
        at=transition.at,
        expires_at=transition.at + intent.expires_ms,
        confirm_within=intent.confirm_within_ms,
        retries=intent.retries,
    )


def _event(order: PendingCommand, state: str, at: int, detail: str = "") -> CommandEvent:
    return CommandEvent(
        order.id,
        order.n,
        order.device,
        order.site,
        order.name,
        order.args,
        state,
        at,
        order.alert["id"],
        detail,
    )
