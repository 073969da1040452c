"""The state of one rule on one device: its levels, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.gateway.rules.reference.definitions import FOREVER, RANKS, Definition, Level
from tests.gateway.rules.reference.telling import Change

ABSENT = "absent"
Truth = float | bool | None


@dataclass
class State:
    """By level: `on`; `up` and `down`, since when; `count`, at how many times in a row; `value`, the last; `judged`,
    the rule's now at the last reading (of ABSENT: since when, or its last). `back`: since when what was missed is
    there.
    """

    on: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(RANKS, False))
    up: dict[str, int] = field(default_factory=dict)
    down: dict[str, int] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)
    value: dict[str, Truth] = field(default_factory=dict)
    judged: dict[str, int] = field(default_factory=dict)
    absent: bool = False
    back: int = 0
    state: str = "inactive"
    level: str = ""
    at: int = 0
    noticed: int = 0

    def waits(self) -> list[str]:
        return [level for level in RANKS if level in self.up and not self.on[level]]

    def busy(self) -> list[str]:
        """The levels that fire or wait, silence among them."""
        found = [level for level in RANKS if self.on[level] or level in self.up]
        return [*found, ABSENT] if self.absent else found

    def rest(self, level: str) -> None:
        """End what a level has begun."""
        if level == ABSENT:
            self.absent, self.back = False, 0
        else:
            self.on[level] = False
            self.up.pop(level, None)
            self.down.pop(level, None)

    def shift(self, by: int) -> None:
        """Follow a clock that was set by so many ms: durations stay."""
        for times in (self.up, self.down, self.judged):
            times.update({level: max(at + by, 1) for level, at in times.items()})
        self.back = max(self.back + by, 1) if self.back else 0
        self.at += by
        self.noticed += by

    def judge(
        self, level: Level, now: int, for_ms: int, *, is_up: bool, is_down: bool, is_next: bool
    ) -> None:
        name = level.name
        counted = self.count.get(name, 0) + is_next if name in self.up else 1
        self.count[name] = counted if is_up else 0
        for holds, since in ((is_up, self.up), (is_down, self.down)):
            if holds:
                since.setdefault(name, now)
            else:
                since.pop(name, None)
        by_count = for_ms == FOREVER and self.count[name] >= level.readings
        if is_up and (by_count or now - self.up[name] >= for_ms):
            self.on[name] = True

    def raised(self, rule: Definition) -> list[str]:
        """What makes the alert fire, the highest first; silence before a level of its rank."""
        raised = [level for level in reversed(RANKS) if self.on[level]]
        if self.absent and rule.silence and rule.silence.state == "alerting":
            rank = RANKS.index(rule.silence.level)
            higher = [level for level in raised if RANKS.index(level) > rank]
            raised.insert(len(higher), ABSENT)
        return raised

    def switch_off(self, rule: Definition, keep: int, at: int, names: list[str]) -> None:
        if (
            self.absent
            and self.back
            and rule.silence
            and rule.silence.state != "alerting"
            and ABSENT in names
        ):
            self.rest(ABSENT)
        for name in self.raised(rule):
            since = self.back if name == ABSENT else self.down.get(name, 0)
            wait = keep if len(self.raised(rule)) == 1 else 0
            if name not in names or not since or at - since < wait:
                continue
            if name == ABSENT:
                self.rest(ABSENT)
            else:
                self.on[name] = False

    def outcome(self, rule: Definition, at: int, cause: str) -> list[Change]:
        """Bring the alert in line with its levels."""
        raised = self.raised(rule)
        if raised:
            assert rule.silence or ABSENT not in raised
            levels = [rule.silence.level if each == ABSENT and rule.silence else each for each in raised]
            return self._fires(max(levels, key=RANKS.index), at, cause)
        found = []
        waits = [level for level in RANKS if level in self.up]
        if self.state == "firing":
            found.append(Change(max(at, self.at), "resolved", cause, "resolved", self.level, self.level))
        elif self.state == "pending" and not waits:
            found.append(Change(max(at, self.at), "resolved", cause, "inactive", self.level, None))
        if found:
            self.state, at = "inactive", found[0].at
        if waits and self.state == "inactive":
            self.state, self.level, self.at = "pending", waits[-1], at
            found.append(Change(at, "pending", cause, "pending", self.level, None))
        return found

    def _fires(self, level: str, at: int, cause: str) -> list[Change]:
        if self.state == "firing" and level == self.level:
            return []
        previous = self.level if self.state == "firing" else None
        at = max(at, self.at) if self.state != "inactive" else at
        event = "firing"
        if previous is not None:
            event = "escalated" if RANKS.index(level) > RANKS.index(previous) else "deescalated"
        self.state, self.level, self.at, self.noticed = "firing", level, at, at
        return [Change(at, event, cause, "firing", level, previous)]

    def close(self, rule: Definition, ended: dict[str, int]) -> list[Change]:
        """End the levels whose times ended: since when."""
        found = []
        for at in sorted(set(ended.values())):
            for level in (each for each, when in ended.items() if when == at):
                self.rest(level)
            found += self.outcome(rule, at, "schedule")
        return found

    def expire(self, rule: Definition, at: int) -> list[Change]:
        """End what waits on a value that is not known any more."""
        for level in self.waits():
            del self.up[level]
        return self.outcome(rule, at, "expired")


def sides(
    rule: Definition, level: Level, values: tuple[Truth, Truth], zone: str, now: int
) -> tuple[bool, bool]:
    """Whether a level is beyond its limit at a moment, and whether it is clear.

    `values`: of its expression, and of the condition that ends it.
    """
    value, ends = values
    if level.ends is not None:
        return value is True and ends is not True, ends is True
    if value is None:
        return False, False
    if level.limit is None:
        return value is True, value is False
    limit, sign = level.limit_at(zone, now), 1 if rule.above else -1
    clear = limit if level.clear is None else level.clear
    clear = limit - sign * level.deadband if level.limits else clear
    return sign * value > sign * limit, sign * value <= sign * clear
