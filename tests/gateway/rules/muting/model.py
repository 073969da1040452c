"""Who is told what, once more and plainly: from the changes of alerts that nothing mutes, one input after another.

It knows the alerts only by what an evaluator without silences and inhibits tells of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_gateway.records.alerts import LEVELS, Transition

Key = tuple[str, str]
HALF_HOUR = 1_800
MOST = 6


@dataclass
class Flaps:
    """When an alert changed, in seconds, and to which rank; the highest rank told since it flaps, if it does."""

    changes: list[tuple[float, int]] = field(default_factory=list)
    peak: int | None = None


@dataclass
class Model:
    """Silences are (glob of the site, until); `Down` inhibits `Hot` at its site, and for `wait` seconds after it."""

    site_of: dict[str, str]
    wait: float
    inhibits: bool = True
    now: float = 0.0
    silences: dict[int, tuple[str, float]] = field(default_factory=dict)
    firing: dict[Key, int] = field(default_factory=dict)
    heard: dict[Key, int] = field(default_factory=dict)
    untold: dict[Key, bool] = field(default_factory=dict)
    """Alerts of which something was muted, and whether flapping did."""
    flaps: dict[Key, Flaps] = field(default_factory=dict)
    down_until: dict[str, tuple[str, float]] = field(default_factory=dict)
    """By device that was down: its site, and when its targets have waited."""

    def advance(self, second: float) -> None:
        """Time passes, as a tick has it; `release` follows."""
        self.now = second
        self.silences = {number: one for number, one in self.silences.items() if one[1] > second}
        self.down_until = {name: one for name, one in self.down_until.items() if one[1] > second}
        for flaps in self.flaps.values():
            if flaps.peak is not None and flaps.changes[-1][0] <= second - HALF_HOUR:
                flaps.changes, flaps.peak = [], None

    def changed(self, second: float, changes: list[Transition]) -> list[str]:
        """What is told of the changes of one input."""
        self.now = second
        down = {name for rule, name in self.firing if rule == "Down"}
        down |= {one.subject for one in changes if (one.rule, one.state) == ("Down", "firing")}
        told = [line for one in changes for line in self._change(one, down)]
        for one in changes:
            if one.rule == "Down" and one.state == "resolved" and ("Down", one.subject) not in self.firing:
                self.down_until[one.subject] = (one.site, second + self.wait)
        for name in {name for rule, name in self.firing if rule == "Down"}:
            self.down_until.pop(name, None)
        return told

    def _change(self, one: Transition, down: set[str]) -> list[str]:
        key, rank = (one.rule, one.subject), LEVELS.index(one.level)
        ends = one.state == "resolved"
        if ends:
            del self.firing[key]
        else:
            self.firing[key] = rank
        if self._flaps(key, -1 if ends else rank):
            self.untold[key] = True
            return []
        if ends and key in self.heard:
            del self.heard[key]
            self.untold.pop(key, None)
            return [f"resolved {one.rule}/{one.subject} {one.level}"]
        if self.muted(key, down) or (ends and key in self.untold):
            self.untold[key] = False
            if ends:
                del self.untold[key]
            return []
        self.untold.pop(key, None)
        if ends:
            return [f"resolved {one.rule}/{one.subject} {one.level}"]
        self.heard[key] = rank
        return [f"{one.event} {one.rule}/{one.subject} {one.level}"]

    def _flaps(self, key: Key, rank: int) -> bool:
        flaps = self.flaps.setdefault(key, Flaps())
        recent = [each for each in flaps.changes if each[0] > self.now - HALF_HOUR]
        flaps.changes = [*flaps.changes, (self.now, rank)]
        if flaps.peak is None and len(recent) >= MOST:
            flaps.peak = max(told for _, told in recent[-MOST:])
        if flaps.peak is None:
            return False
        higher = rank > flaps.peak
        flaps.peak = max(flaps.peak, rank)
        return not higher

    def muted(self, key: Key, down: set[str]) -> bool:
        rule, name = key
        site = self.site_of[name]
        if any(of in ("*", site) for of, _ in self.silences.values()):
            return True
        if not self.inhibits or rule != "Hot":
            return False
        sources = down | {name for source, name in self.firing if source == "Down"} | set(self.down_until)
        return any(self.site_of[each] == site for each in sources)

    def release(self) -> list[str]:
        """What is told because nothing mutes it any more."""
        told = []
        for key, flapped in sorted(self.untold.items()):
            flaps = self.flaps.get(key)
            if self.muted(key, set()):
                if flaps is None or flaps.peak is None:
                    self.untold[key] = False
                continue
            if flaps is not None and flaps.peak is not None:
                continue
            del self.untold[key]
            rank, heard = self.firing.get(key), self.heard.get(key)
            if rank is not None and (rank != heard or flapped):
                self.heard[key] = rank
                told.append(f"released {'/'.join(key)} firing")
            elif rank is None and (flapped or heard is not None):
                self.heard.pop(key, None)
                told.append(f"released {'/'.join(key)} resolved")
        return told
