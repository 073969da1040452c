"""The promises of delivery in plain Python, one message at a time, sharing no code with the gateway.

For any sequence of arrivals it computes the content of every window, the value of each counter, the gaps of each boot,
and the alerts. It knows nothing of batches, commits, lateness or restarts, because they must not change the result.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.gateway.fleet.arrivals.plain_clock import SMALL, Heard, PlainClock
from tests.proofs.order.histories import Arrival, Birth, Reading, Will

LONGEST_TEXT = 64


@dataclass(frozen=True, slots=True)
class OracleSettings:
    """The configuration the oracle needs; times in ms."""

    every: tuple[int, ...]
    earliest: int
    skew: int
    ranges: Mapping[str, tuple[float, float]]
    missing: Mapping[str, float]
    hot: float
    cool: float
    young: int
    """A reading that is older when it arrives causes no notice: it is told with the next that is not."""


class WindowId(NamedTuple):
    """A window: `every` and `start` in ms."""

    device: str
    metric: str
    every: int
    start: int


@dataclass(slots=True)
class ExpectedWindow:
    """The readings of a window, and the tags it may have.

    A base window has the tags of its start. If they changed within a coarser window before its first reading, that
    window has those of its start or of its first base window. If the device's clock stepped back before the change,
    the device passes again through windows that already have readings: these, and coarser ones, may have the new tags.
    """

    labels: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    """In order of readings; for a base window the first counts."""
    after_clock_step: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    """Labels from after a clock step, which are allowed too."""
    readings: list[tuple[int, Any]] = field(default_factory=list)

    def facts(self) -> tuple[Any, ...]:
        """Return (count, sum, min, max, first, last) of numbers, (first, last) of texts."""
        ordered = [value for _, value in sorted(self.readings)]
        if isinstance(ordered[0], str):
            return ordered[0], ordered[-1]
        return (len(ordered), math.fsum(ordered), min(ordered), max(ordered), ordered[0], ordered[-1])

    def agrees(self, found: tuple[Any, ...]) -> bool:
        """Whether `found` is allowed; among texts of the same time, any may be first or last."""
        ends = min(self.readings)[0], max(self.readings)[0]
        if isinstance(self.readings[0][1], str):
            return all((end, text) in self.readings for end, text in zip(ends, found, strict=True))
        return found == self.facts()


@dataclass(slots=True)
class Boot:
    """One boot of a device, with its missing messages as a set."""

    top: int = -1
    missing: set[int] = field(default_factory=set)
    newest: int | None = None

    def verdict(self, seq: int, time: int | None) -> str:
        if seq > self.top:
            self.missing.update(range(self.top + 1, seq))
            self.top = seq
        elif seq in self.missing:
            self.missing.discard(seq)
        else:
            newer = time is not None and (self.newest is None or time > self.newest)
            return "conflicts" if newer else "duplicate"
        if time is not None:
            self.newest = time if self.newest is None else max(self.newest, time)
        return "new"

    def expect(self, following: int) -> None:
        self.missing.update(range(self.top + 1, following))
        self.top = max(self.top, following - 1)

    def close_below(self, floor: int) -> int:
        """Stop expecting messages below `floor`; return how many were missing."""
        gone = {seq for seq in self.missing if seq < floor}
        self.missing -= gone
        skipped = max(0, floor - 1 - self.top)
        self.top = max(self.top, floor - 1)
        return len(gone) + skipped

    def ranges(self) -> list[tuple[int, int]]:
        found: list[list[int]] = []
        for seq in sorted(self.missing):
            if found and found[-1][1] == seq - 1:
                found[-1][1] = seq
            else:
                found.append([seq, seq])
        return [(first, last) for first, last in found]


@dataclass(slots=True)
class Device:
    """The state of one device."""

    site: str
    boots: dict[int, Boot] = field(default_factory=dict)
    """By number, the current one last."""
    newest: int | None = None
    silence: tuple[int, int] = (0, 0)
    """The longest span of base windows (first start, end) that it left out when its time advanced."""
    new_from: int = 0
    """Up to the end of the silence, windows that start at this time or later are new, whatever the history holds.

    It is the end of the newest window that the device had sent a reading of by then. That may be before the silence, if
    no value of its last readings was good, or within it, if the device's clock stepped back before.
    """
    ends: int = 0
    """End of the newest base window it ever sent a reading of."""
    versions: list[tuple[int, tuple[str, Mapping[str, str]]]] = field(default_factory=list)
    """(first window start, (type, tags)), ascending."""
    clock: PlainClock = field(default_factory=PlainClock)
    judged: tuple[int, int, int] | None = None
    """Time, boot and number of the newest heat that its rule has seen."""
    firing: bool = False
    told: bool = False
    """Whether the device was told last that `Hot` fires; what old readings change is told with the next that is not."""
    stamp: int | None = None
    """Time of the last transition of `Hot`; each is later than the last, whatever the device's clock says."""
    kinds: dict[str, type] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)
    steps_at_least: Counter[str] = field(default_factory=Counter)
    """Of the clock steps, small and large, those that were made whenever the messages arrived."""

    def count_step(self, counter: str) -> None:
        self.counters[counter] += 1
        self.steps_at_least[counter] += not self.clock.by_arrival

    def advance(self, ts: int, base: int, ends: int) -> None:
        """Advance to the time of a sample; `ends` is what it was before the sample's message."""
        if self.newest is not None and ts > self.newest:
            left_out = self.newest - self.newest % base + base, ts - ts % base
            if left_out[1] - left_out[0] > self.silence[1] - self.silence[0]:
                self.silence, self.new_from = left_out, ends
        self.newest = ts if self.newest is None else max(self.newest, ts)

    def labels(self, start: int) -> tuple[str, Mapping[str, str]]:
        """Return type and tags of a window with this start."""
        found: tuple[str, Mapping[str, str]] = ("unknown", {})
        for since, told in self.versions:
            if since <= start:
                found = told
        return found


class Oracle:
    """Computes the expected result from arrivals, one by one."""

    def __init__(self, terms: OracleSettings) -> None:
        self.terms = terms
        self.devices: dict[str, Device] = {}
        self.windows: dict[WindowId, ExpectedWindow] = {}
        self.totals: Counter[str] = Counter()
        self.alerts: list[tuple[str, str, str, int]] = []
        """(device, event, state, device time); the event is `released` where it only tells what an old one changed."""
        self.trimmed_to: int | None = None

    def take(self, arrival: Arrival) -> None:
        """Process one arrival."""
        match arrival.message:
            case Reading():
                self._reading(arrival.message, arrival.at)
            case Birth():
                self._born(arrival.message)
            case Will():
                known = self._device(arrival.message.device, arrival.message.site)
                self.totals["statuses refused"] += known is None

    def _device(self, name: str, site: str) -> Device | None:
        """Return the device, which belongs to the site of its first message; None at another site."""
        known = self.devices.setdefault(name, Device(site))
        return known if known.site == site else None

    def _boot(self, device: Device, number: int) -> Boot:
        """Return a boot; a new one becomes the current one."""
        if number not in device.boots:
            device.boots[number] = Boot()
            return device.boots[number]
        current = next(reversed(device.boots))
        if number != current:  # ordered by their last message, but the current one stays last
            kept = device.boots.pop(current)
            device.boots[number] = device.boots.pop(number)
            device.boots[current] = kept
        return device.boots[number]

    # --- births

    def _born(self, born: Birth) -> None:
        device = self._device(born.device, born.site)
        if device is None:
            self.totals["statuses refused"] += 1
            return
        told = (born.type, dict(born.tags))
        newest = device.versions[-1][1] if device.versions else ("unknown", {})
        base = self.terms.every[0]
        since = 0 if device.newest is None else device.newest - device.newest % base + base
        if told != newest:
            device.versions = [pair for pair in device.versions if pair[0] < since]
            device.versions.append(
                (since if device.versions or device.newest is not None else -(1 << 62), told)
            )
            self._label_after_step(born.device, device, told, since)
        device.clock.birth(born.boot, born.ts if born.ts and born.ts >= self.terms.earliest else None)
        boot = self._boot(device, born.boot)
        boot.expect(born.following)
        device.counters["lost_at_device"] += boot.close_below(min(born.floor, born.following))

    def _label_after_step(
        self, name: str, device: Device, told: tuple[str, Mapping[str, str]], since: int
    ) -> None:
        """Allow the new tags for windows that the device may pass through again after a clock step."""
        if device.counters["clock_steps"]:
            for place, window in self.windows.items():
                if place.device == name and (place.every > self.terms.every[0] or place.start >= since):
                    window.after_clock_step.append(told)

    def _step(self, device: Device) -> None:
        device.count_step("clock_steps")
        device.newest = device.judged = None
        device.silence = (0, 0)

    # --- readings

    def _reading(self, message: Reading, at: int) -> None:
        device = self._device(message.device, message.site)
        if device is None:
            self.totals.update(("received", "quarantined"))
            return
        device.counters["received"] += 1
        samples = [(self._time(message.ts, 0, at), message.values)]
        samples += [(self._time(message.ts, step, at), values) for step, values in message.further]
        own = [time for (time, stamped), _ in samples if not stamped]
        boot = self._boot(device, message.boot)
        time = max(own, default=None)
        heard = Heard(
            message.boot,
            max(ts for (ts, _), _ in samples),
            above=message.seq > boot.top,
            first=boot.top < 0,
            stamped=not own,
            listening=at,
        )
        verdict = boot.verdict(message.seq, time)
        if verdict == "conflicts":
            device.counters["quarantined"] += 1
        device.counters[verdict] += 1
        if message.floor is not None and verdict != "conflicts":
            device.counters["lost_at_device"] += boot.close_below(min(message.floor, message.seq))
        if verdict == "new":
            what, since = device.clock.message(heard)
            if what == "stepped":
                self._step(device)
            if what == "held" and not heard.stamped:
                device.count_step("small_clock_steps")
            self._samples(message, device, samples, what, since, at=at)

    def _time(self, ts: int | None, step: int, at: int) -> tuple[int, bool]:
        """Return the time that counts, and whether it is the time of arrival."""
        told = None if ts is None else ts + step
        if told is None or told < self.terms.earliest or told > at + self.terms.skew:
            return at, True
        return told, False

    def _samples(
        self,
        message: Reading,
        device: Device,
        samples: list[tuple[tuple[int, bool], Mapping[str, Any]]],
        what: str,
        since: int | None,
        *,
        at: int,
    ) -> None:
        ends = device.ends
        for (ts, stamped), values in samples:
            device.counters["stamped"] += stamped
            for metric, value in values.items():
                device.counters["values"] += 1
                counts = self._counts(device, metric, value)
                device.counters["accepted" if counts else "bad"] += 1
                if counts:
                    self._window(message.device, device, metric, ts, _as_stored(value))
            live = ts >= at - self.terms.young
            if what == "held" and since is not None and (stamped or ts >= since - SMALL):
                self._judge(message, device, max(ts, since), values, live=live)
            elif what != "aside":
                self._judge(message, device, ts, values, live=live)
        for (ts, _), _ in samples:
            device.advance(ts, self.terms.every[0], ends)

    def _counts(self, device: Device, metric: str, value: Any) -> bool:
        """Whether a value counts; the first good one decides whether a series holds numbers or texts."""
        if isinstance(value, str | bool):
            kind: type = str
            good = not isinstance(value, str) or len(value) <= LONGEST_TEXT
        elif isinstance(value, int | float):
            kind, good = float, math.isfinite(value)
        else:
            return False
        if not good or device.kinds.setdefault(metric, kind) is not kind:
            return False
        if kind is str:
            return True
        low, high = self.terms.ranges.get(metric, (-math.inf, math.inf))
        return bool(low <= value <= high and value != self.terms.missing.get(metric))

    def _window(self, name: str, device: Device, metric: str, ts: int, value: Any) -> None:
        kept = device.new_from <= ts < device.silence[1]
        if self.trimmed_to is not None and ts < self.trimmed_to and not kept:
            device.counters.update({"accepted": -1, "too late": 1})
            return
        base = self.terms.every[0]
        device.ends = max(device.ends, ts - ts % base + base)
        for every in self.terms.every:
            place = WindowId(name, metric, every, ts - ts % every)
            if place not in self.windows:
                self.windows[place] = ExpectedWindow([device.labels(place.start)])
            self.windows[place].readings.append((ts, value))
            self.windows[place].labels.append(device.labels(ts - ts % base))

    def _judge(
        self, message: Reading, device: Device, ts: int, values: Mapping[str, Any], *, live: bool
    ) -> None:
        """Evaluate `Hot` with a heat that is not older than any before; `ts` is its time for rules.

        Of one time, those of a boot count in the order of their numbers, so that a lower number is older.
        """
        heat = values.get("heat")
        if not isinstance(heat, int | float) or not math.isfinite(heat):
            return
        if device.judged is not None:
            newest, boot, seq = device.judged
            if ts < newest or (ts == newest and message.boot == boot and message.seq < seq):
                return
        device.judged = (ts, message.boot, message.seq)
        before = device.firing
        device.firing = heat > self.terms.cool if before else heat > self.terms.hot
        changed = device.firing != before
        if changed or (live and device.told != device.firing):
            device.stamp = ts if device.stamp is None else max(ts, device.stamp + 1)
            state = "firing" if device.firing else "resolved"
            self.alerts.append((message.device, state if changed else "released", state, device.stamp))
        if live:
            device.told = device.firing

    # --- trimming and totals

    def trim(self, before: int) -> None:
        """Forget windows that end before or at a time, which are never opened again, and older alerts."""
        self.alerts = [step for step in self.alerts if step[3] >= before]
        kept = {place: one for place, one in self.windows.items() if place.start + place.every > before}
        if len(kept) < len(self.windows):
            self.windows = kept
            self.trimmed_to = before - before % self.terms.every[0]

    def all_counters(self) -> Counter[str]:
        """Return the counters of the whole fleet."""
        return sum((device.counters for device in self.devices.values()), Counter(self.totals))


def _as_stored(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else float(value)
