"""What the fold may depend on. Every input is written to the journal with its effects, and nothing else is read.

Times: `wall` is milliseconds since 1970 UTC, `listening` milliseconds of the listening clock (delivery: silence is only
counted while the gateway could have heard something). `trusted` says whether `wall` may be believed.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Moment(msgspec.Struct, frozen=True):
    """When an input was taken in."""

    wall: int
    listening: int
    trusted: bool = True


class Batch(msgspec.Struct, frozen=True, tag="batch"):
    """Deliveries in the order of their arrival; `qos0` are the positions of those that promise nothing."""

    moment: Moment
    topics: list[str]
    payloads: list[bytes]
    qos0: list[int] = []


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """Time went by."""

    moment: Moment


class Reload(msgspec.Struct, frozen=True, tag="reload"):
    """A rule set takes over; it is journaled whole, so that a replay needs no file."""

    moment: Moment
    rules: dict[str, Any]


class Distrust(msgspec.Struct, frozen=True, tag="distrust"):
    """The gateway started without a trusted clock: the age of what is pending is unknown."""

    moment: Moment


class Amnesia(msgspec.Struct, frozen=True, tag="amnesia"):
    """The broker knows this gateway and the spool is new: windows in progress were begun by a former life."""

    moment: Moment


Input = Batch | Tick | Reload | Distrust | Amnesia
