"""What was sent, and whether what is stored agrees with it. Nothing here knows how a gateway remembers, or how much.

Sums tell which readings a point holds: each reading is a power of two that its window has once.

    every message that arrived is in its window exactly once, or is told: too late, not known, in quarantine, or in a
        window that is stored apart because the device's clock was set back
    what is in a window was sent; a written point never loses a reading
    a coarse point, with its parts that are told apart, is the sum of its base points
    a message that is the newest by its sequence, and begins a new window in every tier, is in it
    a receipt says stored of nothing that did not arrive
    counters agree with what arrived, and whatever is told is counted
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.proofs.forget.lives import UNIT, Birth, Message


class Place(NamedTuple):
    """A window of a metric: its length and its start, in ms."""

    device: str
    metric: str
    every: int
    start: int


class Point(NamedTuple):
    """What a written point says."""

    readings: int
    sum: float

    def plus(self, other: Point) -> Point:
        return Point(self.readings + other.readings, self.sum + other.sum)

    def bits(self) -> set[int] | None:
        """Return which readings it holds; None if one counts twice or a part of one."""
        whole = round(self.sum / UNIT)
        found = {bit for bit in range(whole.bit_length()) if whole >> bit & 1}
        return found if len(found) == self.readings and whole * UNIT == self.sum else None


NOTHING = Point(0, 0.0)
UNKNOWN = "unknown"
APART = "window apart"
"""What is told of the readings of a base window in `sensor_partial`."""


class Told(NamedTuple):
    """A reading that is stored apart from the windows, and why."""

    device: str
    metric: str
    ts: int
    value: float
    why: str


class Counters(NamedTuple):
    """What the gateway says that it counted: messages, and the values and windows that are told apart."""

    received: int
    new: int
    duplicate: int
    not_known: int
    quarantined: int
    too_late: int
    windows_refused: int
    tombstones_dropped: int


@dataclass(slots=True)
class BootTruth:
    """What arrived of one boot number, and what its device gave up."""

    arrived: set[int] = field(default_factory=set)
    lost_below: int = 0


@dataclass(slots=True)
class Truth:
    """What arrived, and what was written since."""

    every: tuple[int, ...]
    """The lengths of windows, in ms, the base first and the coarsest last."""
    delay: int = 0
    """The longest time between the sending of a message and its arrival, in ms."""
    redelivered: bool = False
    """Whether a broker may deliver again what a killed gateway had not acknowledged; each delivery is counted."""
    arrivals: Counter[Message] = field(default_factory=Counter)
    places: dict[Message, set[int]] = field(default_factory=lambda: defaultdict(set))
    """The starts of the windows each message may be in."""
    must: set[Message] = field(default_factory=set)
    """Messages that must be in their windows."""
    set_back: set[Message] = field(default_factory=set)
    """Messages that were older, when they arrived, than another one before: the clock was set back, or they waited."""
    boots: dict[tuple[str, int], BootTruth] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    written: dict[Place, Point] = field(default_factory=dict)
    parts: dict[Place, Point] = field(default_factory=dict)
    """What is told apart of windows whose first part had been written, or may have been, and was not held any more."""
    told: list[Told] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _by_mark: dict[tuple[Any, ...], Message] = field(default_factory=dict)

    @property
    def base(self) -> int:
        return self.every[0]

    # --- what arrives

    def birth(self, birth: Birth) -> None:
        boot = self.boots.setdefault((birth.device, birth.boot), BootTruth())
        boot.lost_below = max(boot.lost_below, min(birth.floor, birth.following))

    def arrive(self, message: Message, at: int) -> None:
        """Note that a message arrived, at most `delay` after `at`, in ms."""
        boot = self.boots.setdefault((message.device, message.boot), BootTruth())
        first, last = (at, at + self.delay) if message.ts is None else (message.ts, message.ts)
        if message not in self.arrivals and self._is_newest(message, boot):
            self.must.add(message)
        if message not in self.arrivals and last < self.newest.get(message.device, 0):
            self.set_back.add(message)
        self.arrivals[message] += 1
        boot.arrived.add(message.seq)
        self.places[message].update(range(first - first % self.base, last + 1, self.base))
        self.newest[message.device] = max(self.newest.get(message.device, 0), last)
        self._by_mark[self._mark(message)] = message

    def _is_newest(self, message: Message, boot: BootTruth) -> bool:
        if message.ts is None:
            return False
        later = message.seq > max(boot.arrived, default=-1)
        return later and message.ts - message.ts % self.every[-1] > self.newest.get(message.device, 0)

    def _mark(self, message: Message) -> tuple[Any, ...]:
        window = None if message.ts is None else message.ts - message.ts % self.base
        return (message.device, message.reading.metric, window, message.reading.bit)

    def _message(self, device: str, metric: str, start: int, bit: int) -> Message | None:
        """Return the message with a reading, if it arrived and may be in the window that begins at `start`."""
        window = None if metric.startswith("untimed") else start
        found = self._by_mark.get((device, metric, window, bit))
        return found if found is not None and start in self.places[found] else None

    # --- what is written

    def write(self, place: Place, point: Point) -> None:
        """Note a point that replaces what was written before it in the same place."""
        before = self.written.get(place)
        self.written[place] = point
        if before is None:
            return
        if point.readings < before.readings:
            self.wrong.append(f"{place}: {before} was written over by {point}")
        elif place.every == self.base:
            old, new = before.bits(), point.bits()
            if old is not None and new is not None and not old <= new:
                self.wrong.append(f"{place}: {sorted(old - new)} are gone, {point}")

    def write_part(self, place: Place, point: Point) -> None:
        """Note a window, or a part of one, that is told apart."""
        self.parts[place] = self.parts.get(place, NOTHING).plus(point)

    def tell(self, told: Told) -> None:
        self.told.append(told)

    def receipt(self, device: str, said: Mapping[str, Any]) -> None:
        """Check that a receipt says stored only of what arrived, or was given up by the device."""
        boot = self.boots.get((device, said["boot"]), BootTruth())
        missing = {seq for first, last in said["missing"] for seq in range(first, last + 1)}
        since = max(said.get("from", 0), boot.lost_below)
        claimed = set(range(since, said["upto"] + 1)) - missing
        if claimed - boot.arrived:
            self.wrong.append(
                f"receipt of {device}: {said} says stored of {sorted(claimed - boot.arrived)[:5]}"
            )

    # --- judging

    def judge(self, quarantined: Iterable[tuple[Any, ...]], counters: Counters) -> list[str]:
        """Return a sentence for each difference; `quarantined` are identities of messages that are in quarantine."""
        aside = list(quarantined)
        counted = self._counted(may_repeat_untimed=counters.tombstones_dropped > 0)
        self._judge_coarse()
        told = self._all_told()
        self._judge_told(counted, told, set(aside))
        self._judge_counters(counters, told, len(aside))
        for message in self.must - counted.keys():
            self.wrong.append(f"not in its window, though it was the newest: {message}")
        return self.wrong

    def _counted(self, *, may_repeat_untimed: bool) -> Counter[Message]:
        """Return how often each message is in a base window; note what was not sent, or is there twice."""
        found: Counter[Message] = Counter()
        for place, point in self.written.items():
            if place.every != self.base:
                continue
            bits = point.bits()
            if bits is None:
                self.wrong.append(f"{place}: {point} counts a reading twice")
                continue
            for bit in bits:
                message = self._message(place.device, place.metric, place.start, bit)
                if message is None:
                    self.wrong.append(f"{place}: holds bit {bit}, which was not sent")
                else:
                    found[message] += 1
        for message, count in found.items():
            if count > 1 and not (may_repeat_untimed and message.ts is None):
                self.wrong.append(f"in {count} windows: {message}")
        return found

    def _judge_coarse(self) -> None:
        """A coarse point must be the sum of its base points."""
        for every in self.every[1:]:
            sums: dict[Place, Point] = {}
            for place, point in self.written.items():
                if place.every == self.base:
                    above = place._replace(every=every, start=place.start - place.start % every)
                    sums[above] = sums.get(above, NOTHING).plus(point)
            found = {place: point for place, point in self.written.items() if place.every == every}
            for place, part in self.parts.items():
                if place.every == every:
                    found[place] = found.get(place, NOTHING).plus(part)
            for place in sums.keys() | found.keys():
                if sums.get(place) != found.get(place):
                    self.wrong.append(f"{place}: {found.get(place)}, its base points say {sums.get(place)}")

    def _all_told(self) -> dict[Message, list[str]]:
        """Return what is said of each message that is told apart."""
        told: dict[Message, list[str]] = defaultdict(list)
        for one in self.told:
            start = one.ts - one.ts % self.base
            bit = round(one.value / UNIT).bit_length() - 1
            message = self._message(one.device, one.metric, start, bit)
            if message is None:
                self.wrong.append(f"told of what was not sent: {one}")
            else:
                told[message].append(one.why)
        for place, part in self.parts.items():
            for bit in part.bits() or () if place.every == self.base else ():
                message = self._message(place.device, place.metric, place.start, bit)
                if message is None or message not in self.set_back:
                    self.wrong.append(f"{place}: told apart, though its clock was never set back: {message}")
                else:
                    told[message].append(APART)
        return told

    def _judge_told(
        self,
        counted: Mapping[Message, int],
        told: Mapping[Message, list[str]],
        quarantined: set[tuple[Any, ...]],
    ) -> None:
        """Each message is counted or told; what is told as not counted is not counted."""
        for message in self.arrivals:
            said = told.get(message, [])
            apart = [why for why in said if why != UNKNOWN]
            if len(apart) + (message in counted) > 1:
                self.wrong.append(f"in its window and told as {apart}: {message}")
            if message not in counted and not said and message.identity not in quarantined:
                self.wrong.append(f"in no window, and nothing says so: {message}")

    def _judge_counters(
        self, counters: Counters, told: Mapping[Message, list[str]], quarantined: int
    ) -> None:
        """Nothing is told that is not counted, and counters add up to what arrived."""
        arrived = max(self.arrivals.total(), counters.received if self.redelivered else 0)
        repeats = arrived - len(self.arrivals)
        late = sum(any(why not in {UNKNOWN, APART} for why in said) for said in told.values())
        said = [
            counters.received == arrived,
            counters.received
            == counters.new + counters.duplicate + counters.not_known + counters.quarantined,
            counters.duplicate <= repeats,
            counters.not_known >= sum(UNKNOWN in said for said in told.values()),
            counters.quarantined >= quarantined,
            counters.too_late >= late,
            counters.windows_refused >= len(self.parts),
        ]
        if not all(said):
            self.wrong.append(
                f"{counters}: {arrived} arrived, {repeats} of them repeats, {quarantined} are in quarantine, "
                f"{len(self.parts)} windows apart, {len(told)} readings told apart, {late} of them as late"
            )
