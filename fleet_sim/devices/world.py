"""What the devices of a run share: group settings, clocks, ledger, counters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from fleet_sim.devices.counters import Counters

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Mapping

    from fleet_sim.devices.device import Device
    from fleet_sim.ledger.writing import LedgerWriter
    from fleet_sim.plan import Behaviour

__all__ = ["DeviceGroup", "Identity", "SessionLike", "World"]


class Identity(NamedTuple):
    """Who a device is; what its birth says."""

    id: str
    site: str
    type: str
    tags: Mapping[str, str]
    lat: float | None = None
    lon: float | None = None


class SessionLike(Protocol):
    """The part of `fleet_wire.session.Session` that a device uses."""

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        on_ack: Callable[[int], None] | None = None,
    ) -> None: ...

    def publish_plain(self, topic: bytes, payload: bytes, on_ack: Callable[[int], None]) -> None: ...

    def ack(self, epoch: int, packet_ids: list[int]) -> int: ...


@dataclass(slots=True)
class DeviceGroup:
    """What the devices of a group share. `apply` moves a signal: (device, setting, value); ValueError: why not."""

    name: str
    metrics: Mapping[str, Any]
    commands: Mapping[str, Behaviour]
    apply: Callable[[Device, str, Any], object]
    room: int
    drop: Any
    replay_rate: float
    qos: int = 1


@dataclass(slots=True)
class World:
    """What devices share with the run: clocks, ledger, counters, timers."""

    now_us: Callable[[], int]
    now_ms: Callable[[], int]
    ledger: LedgerWriter
    counters: Counters
    loop: AbstractEventLoop
    sends: list[int]
    acks: list[int]
    receipts: list[int]
    drops: list[int]
    draining: dict[int, float] = field(default_factory=dict)
    """Devices that are online and have a buffer to send, with the time since when that is paced (seconds)."""

    @classmethod
    def of(
        cls,
        ledger: LedgerWriter,
        loop: AbstractEventLoop,
        now_us: Callable[[], int],
        now_ms: Callable[[], int],
    ) -> Self:
        return cls(
            now_us=now_us,
            now_ms=now_ms,
            ledger=ledger,
            counters=Counters(),
            loop=loop,
            sends=ledger.table("sends"),
            acks=ledger.table("acks"),
            receipts=ledger.table("receipts"),
            drops=ledger.table("drops"),
        )
