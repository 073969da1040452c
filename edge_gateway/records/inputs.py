"""The inputs of the fold. The fold reads nothing else, and each input is journaled with its effects."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec

from fleet_wire.topics import STATUS, TELEMETRY

NO_LIMIT = 1 << 32


class Moment(msgspec.Struct, frozen=True):
    """When an input was taken in.

    Attributes:
        wall: ms since 1970 UTC.
        listening: ms of the listening clock, which advances only while the gateway would have heard a device.
        trusted: whether `wall` may be believed.
        least: ms, the least the time can be; None if `wall` is sure. It advances with monotonic time until it is.
        aged: ms, the time by which data may be found too old; None if `wall` is sure.
        monotonic: ms of monotonic time, which goes on over restarts. Whatever waits, waits by it: setting the machine's
            clock changes `wall`, and this not.
    """

    wall: int
    listening: int
    trusted: bool = True
    least: int | None = None
    aged: int | None = None
    monotonic: int = 0

    @property
    def at_least(self) -> int:
        """The time that is certainly reached, ms."""
        return self.wall if self.least is None else self.least


class Batch(msgspec.Struct, frozen=True, tag="batch"):
    """Deliveries in the order of their arrival.

    Attributes:
        qos0: positions of deliveries that came at QoS 0.
        copies: positions of statuses that the broker kept, or sends again: they may be long past.
        again: positions of deliveries out of the quarantine whose sequence numbers were taken in before.
        may_hold: how many deliveries may wait for a trusted clock.
    """

    moment: Moment
    topics: list[str]
    payloads: list[bytes]
    qos0: list[int] = []
    again: list[int] = []
    copies: list[int] = []
    may_hold: int = NO_LIMIT


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """Time passed; `groups`: rules over groups of devices are due, which look at all of them."""

    moment: Moment
    groups: bool = True


class Reload(msgspec.Struct, frozen=True, tag="reload"):
    """A rule set takes over. It is journaled whole, so that a replay needs no file."""

    moment: Moment
    rules: dict[str, Any]


class ClockUntrusted(msgspec.Struct, frozen=True, tag="clock_untrusted"):
    """Since when the gateway was stopped is unknown, and so is the age of pending commands."""

    moment: Moment


class ClockUnsure(msgspec.Struct, frozen=True, tag="clock_unsure"):
    """For how long the gateway was stopped is known from a clock that nobody has confirmed since."""

    moment: Moment


class ClockConfirmed(msgspec.Struct, frozen=True, tag="clock_confirmed"):
    """The wall clock became sure: `moment.wall` is the time at which `moment.least` was the least it could be."""

    moment: Moment


class StateLost(msgspec.Struct, frozen=True, tag="state_lost"):
    """What the state should hold is lost: windows in progress lack readings.

    `copied`: the spool is a copy from before what this gateway did last, so what waits in its outboxes is old, too.
    """

    moment: Moment
    copied: bool = False


class Undelivered(msgspec.Struct, frozen=True, tag="undelivered"):
    """The broker refused a command; `for_good`: it would refuse it again."""

    moment: Moment
    device: str
    command: str
    why: str
    for_good: bool


class Forget(msgspec.Struct, frozen=True, tag="forget"):
    """An operator, `by`, forgets a device, or one metric of it; it starts afresh with its next value."""

    moment: Moment
    device: str
    metric: str | None = None
    by: str = ""


class AddSilence(msgspec.Struct, frozen=True, tag="silence"):
    """An operator mutes alerts.

    Attributes:
        match: globs by `alert`, `level`, `subject`, site, device, type and tags, which must all fit.
        until: wall ms at which it ends, an estimate where it `lasts`.
        lasts: ms for which it lasts by monotonic time; None: it ends at `until`.
        said: its end, as the operator wrote it.
        commands: commands are muted, too.
        by, why: the operator, and their reason.
    """

    moment: Moment
    match: dict[str, list[str]]
    until: int
    lasts: int | None
    said: str
    commands: bool
    by: str
    why: str


class EndSilence(msgspec.Struct, frozen=True, tag="end_silence"):
    """An operator ends the silence with this number."""

    moment: Moment
    silence: int
    by: str


class Acknowledge(msgspec.Struct, frozen=True, tag="acknowledge"):
    """An operator has seen the alert with this id, which fires, or ended unacknowledged."""

    moment: Moment
    alert: str
    by: str
    why: str


class Remind(msgspec.Struct, frozen=True, tag="remind"):
    """Those who read alerts from a sink are to learn again of the alerts with these ids, as far as they fire."""

    moment: Moment
    alerts: list[str]


class Trim(msgspec.Struct, frozen=True, tag="trim"):
    """The history gives up its oldest windows: of each tier those that start before `cuts` (ms), the base first."""

    moment: Moment
    cuts: list[int]


Input = (
    Batch
    | Tick
    | Reload
    | ClockUntrusted
    | ClockUnsure
    | ClockConfirmed
    | StateLost
    | Undelivered
    | Forget
    | AddSilence
    | EndSilence
    | Acknowledge
    | Remind
    | Trim
)


def runs(topics: Sequence[str]) -> list[slice]:
    """Cut deliveries into runs, so that within a run no status comes after telemetry of its device.

    A batch folds its statuses first. A birth states which messages the device still holds: folded before readings that
    arrived ahead of it, it would close the very gaps they fill; from another site, it would become the first one seen.
    """
    ends = [place for place, topic in enumerate(topics) if topic.endswith(STATUS)]
    cuts, begin = [], 0
    ahead: set[str] = set()
    for before, place in pairwise([0, *ends]):
        passed = topics[max(begin, before) : place]
        ahead.update(_device(topic, TELEMETRY) for topic in passed if topic.endswith(TELEMETRY))
        if _device(topics[place], STATUS) in ahead:
            cuts.append(slice(begin, place))
            begin, ahead = place, set()
    return [*cuts, slice(begin, len(topics))]


def _device(topic: str, kind: str) -> str:
    return topic.removesuffix(f"/{kind}").rpartition("/")[2]
