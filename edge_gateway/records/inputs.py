"""What the fold may depend on. Every input is written to the journal with its effects, and nothing else is read.

Times: `wall` is milliseconds since 1970 UTC, `listening` milliseconds of the listening clock (delivery: silence is only
counted while the gateway could have heard something). `trusted` says whether `wall` may be believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from fleet_wire.topics import STATUS, TELEMETRY


class Moment(msgspec.Struct, frozen=True):
    """When an input was taken in."""

    wall: int
    listening: int
    trusted: bool = True


class Batch(msgspec.Struct, frozen=True, tag="batch"):
    """Deliveries in the order of their arrival; `qos0` are the positions of those that promise nothing.

    `again` are the positions of those that come out of quarantine, where their sequence number is noted already.
    """

    moment: Moment
    topics: list[str]
    payloads: list[bytes]
    qos0: list[int] = []
    again: list[int] = []


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """Time went by."""

    moment: Moment


class Reload(msgspec.Struct, frozen=True, tag="reload"):
    """A rule set takes over; it is journaled whole, so that a replay needs no file."""

    moment: Moment
    rules: dict[str, Any]


class ClockUntrusted(msgspec.Struct, frozen=True, tag="clock_untrusted"):
    """The gateway started without a trusted clock: the age of what is pending is unknown."""

    moment: Moment


class StateLost(msgspec.Struct, frozen=True, tag="state_lost"):
    """The broker knows this gateway and the spool is new: windows in progress were begun by a former life."""

    moment: Moment


class Undelivered(msgspec.Struct, frozen=True, tag="undelivered"):
    """The broker does not have a command that was sent; `for_good`: it would not take it later either."""

    moment: Moment
    device: str
    command: str
    why: str
    for_good: bool


class Forget(msgspec.Struct, frozen=True, tag="forget"):
    """An operator wants a device to begin anew, or one metric of it."""

    moment: Moment
    device: str
    metric: str | None = None


Input = Batch | Tick | Reload | ClockUntrusted | StateLost | Undelivered | Forget


def runs(topics: Sequence[str]) -> list[slice]:
    """Cut deliveries so that within a run every status stands before the telemetry of its device.

    A birth says what a device holds when it is sent: taken in before readings that came ahead of it, it would
    close the very holes they fill. From another site it would even make that the first one seen.
    """
    ends = [place for place, topic in enumerate(topics) if topic.endswith(STATUS)]
    if not ends:
        return [slice(0, len(topics))]
    cuts, begin = [], 0
    ahead: set[str] = set()
    for before, place in zip([0, *ends], ends, strict=False):
        passed = topics[max(begin, before) : place]
        ahead.update(_device(topic, TELEMETRY) for topic in passed if topic.endswith(TELEMETRY))
        if _device(topics[place], STATUS) in ahead:
            cuts.append(slice(begin, place))
            begin, ahead = place, set()
    return [*cuts, slice(begin, len(topics))]


def _device(topic: str, kind: str) -> str:
    return topic.removesuffix(f"/{kind}").rpartition("/")[2]
