"""Faults of the link between a device and its broker."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from fleet_config.durations import Duration
from fleet_config.validation import Strict
from fleet_sim.devices.conditions import Conditions
from fleet_sim.faults.fault import Deed, LinkFault

if TYPE_CHECKING:
    from fleet_sim.faults.targets import Targets

MOST_FLAPS = 1000


class Reconnect(Strict):
    within: Duration = 3000
    """each device at its own random moment in this span"""


class Disconnect(LinkFault):
    """The connection is cut once; the device connects again."""

    in_phase = True
    once = True
    kind: Literal["disconnect"] = "disconnect"
    reconnect: Reconnect = Reconnect.model_construct()

    def deeds(self, from_ms: int, until_ms: int) -> Iterable[Deed]:  # noqa: ARG002 - the hook's
        return [Deed(from_ms, partial(_cut, within_ms=self.reconnect.within, turn=0))]


class Storm(LinkFault):
    """All connections cut at once, again and again."""

    in_phase = True
    once = True
    kind: Literal["storm"] = "storm"
    times: int = Field(default=1, ge=1, le=1000)
    every: Duration = 30_000
    reconnect: Reconnect = Reconnect.model_construct()

    def deeds(self, from_ms: int, until_ms: int) -> Iterable[Deed]:  # noqa: ARG002 - the hook's
        within = self.reconnect.within
        return [
            Deed(from_ms + turn * self.every, partial(_cut, within_ms=within, turn=turn))
            for turn in range(self.times)
        ]


def _cut(targets: Targets, *, within_ms: int, turn: int) -> None:
    targets.cut(within_ms, turn)


class Outage(LinkFault):
    """No connection for the whole time; what is measured waits in the buffer."""

    in_phase = True
    kind: Literal["offline"] = "offline"

    def deeds(self, from_ms: int, until_ms: int) -> Iterable[Deed]:
        return _down(from_ms, until_ms)


class Flap(LinkFault):
    """The link goes down and comes up again, over and over."""

    in_phase = True
    kind: Literal["flap"] = "flap"
    every: Duration = 10_000
    down: Duration = 2000

    @model_validator(mode="after")
    def _is_up_between(self) -> Self:
        if not 0 < self.down < self.every:
            raise ValueError("'down' must be shorter than 'every'")
        return self

    def deeds(self, from_ms: int, until_ms: int) -> Iterable[Deed]:
        for begin in range(from_ms, min(until_ms, from_ms + MOST_FLAPS * self.every), self.every):
            yield from _down(begin, min(begin + self.down, until_ms))


def _down(from_ms: int, until_ms: int) -> list[Deed]:
    return [
        Deed(from_ms, lambda targets: targets.block()),
        Deed(until_ms, lambda targets: targets.unblock(), ends=True),
    ]


class BadLink(LinkFault):
    """A kind that makes a link worse for as long as the fault lasts."""

    in_phase = True

    def conditions(self) -> Conditions:
        """Return the conditions on the link while the fault lasts."""
        raise NotImplementedError

    def deeds(self, from_ms: int, until_ms: int) -> Iterable[Deed]:
        return [
            Deed(from_ms, lambda targets: targets.link(self.conditions())),
            Deed(until_ms, lambda targets: targets.link(None), ends=True),
        ]


class Delay(BadLink):
    """Everything takes longer, in both directions."""

    kind: Literal["delay"] = "delay"
    by: Duration = 200

    def conditions(self) -> Conditions:
        return Conditions(delay=self.by / 1000.0)


class Bandwidth(BadLink):
    """So many bytes a second come through, in each direction."""

    kind: Literal["bandwidth"] = "bandwidth"
    bytes_per_second: int = Field(ge=1)

    def conditions(self) -> Conditions:
        return Conditions(rate=self.bytes_per_second)


class BlackHole(BadLink):
    """Packets vanish both ways; the connection stays until a keep-alive times out."""

    kind: Literal["black_hole"] = "black_hole"

    def conditions(self) -> Conditions:
        return Conditions(dark=True)
