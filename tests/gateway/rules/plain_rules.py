"""The rules, stated plainly: one reading at a time, one rule at a time, nothing clever. What the columns must equal."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fleet_config.match import Match

if TYPE_CHECKING:
    from edge_gateway.rules.language.ruleset import Level, Override, Rule

RANKS = ("info", "warning", "critical")
LOOKBACK_MS = 300_000


@dataclass
class Device:
    name: str
    site: str
    cursor: int = 0
    first: int = 0
    heard: int = 0
    backlog: bool = False
    last: dict[str, tuple[int, float]] = field(default_factory=dict)
    history: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def now(self, listening: int) -> int:
        return self.cursor + max(0, listening - self.heard)


@dataclass
class One:
    """One rule on one device."""

    on: dict[str, bool]
    up: dict[str, int] = field(default_factory=dict)
    down: dict[str, int] = field(default_factory=dict)
    absent: bool = False
    back: int = 0
    state: str = "inactive"
    level: str = ""
    at: int = 0


class PlainRules:
    """`read` and `tick` give (at, rule, device, cause, state, level, previous level, backlog)."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        self.devices: dict[str, Device] = {}
        self.states: dict[tuple[str, str], One] = {}
        self.listening = 0

    def read(
        self, name: str, site: str, at: int, values: dict[str, float], *, backlog: bool, listening: int
    ) -> list[Any]:
        device = self.devices.setdefault(name, Device(name, site))
        if at < device.cursor:
            return []
        device.first = device.first or at
        device.cursor, device.heard, device.backlog = at, listening, backlog
        for metric, value in values.items():
            device.last[metric] = (at, value)
            device.history.setdefault(metric, []).append((at, value))
        found = []
        for rule in self.rules:
            if rule.match and not all(Match.of(m).matches(site, name, "unknown", {}) for m in rule.match):
                continue
            found += [(*what, backlog) for what in self._read(rule, device, at, values)]
        return found

    def _one(self, rule: Rule, device: Device) -> One:
        return self.states.setdefault((rule.name, device.name), One(dict.fromkeys(RANKS, False)))

    def _override(self, rule: Rule, device: Device) -> Override | None:
        for override in rule.overrides:
            if Match.of(override.match).matches(device.site, device.name, "unknown", {}):
                return override
        return None

    def _levels(self, rule: Rule, device: Device) -> list[Level]:
        override = self._override(rule, device)
        if override is None:
            return list(rule.levels)
        levels = []
        for level in rule.levels:
            limit, clear, for_ms = level.limit, level.clear, level.for_ms
            for change in override.levels:
                if change.level == level.level:
                    limit = limit if change.limit is None else change.limit
                    clear = clear if change.clear is None else change.clear
                    for_ms = for_ms if change.for_ms is None else change.for_ms
            levels.append(replace(level, limit=limit, clear=clear, for_ms=for_ms))
        return levels

    def _keep(self, rule: Rule, device: Device) -> int:
        override = self._override(rule, device)
        return rule.keep_ms if override is None or override.keep_ms is None else override.keep_ms

    def _read(self, rule: Rule, device: Device, at: int, values: dict[str, float]) -> list[Any]:
        one = self._one(rule, device)
        if at - device.first < rule.warmup_ms:
            return []
        touched: list[str] = []
        if rule.no_data is not None and rule.no_data.metric in values and one.absent:
            one.back = one.back or at
            touched.append("absent")
        if rule.expr is not None and any(name in values for name, _ in rule.metrics):
            touched += RANKS
            result = evaluate(rule.expr, device, at)
            for level in self._levels(rule, device):
                self._judge(one, level, result, at)
        if not touched:
            return []
        self._switch_off(one, rule, device, at, touched)
        return self._outcome(one, rule, device, at, None)

    def _judge(self, one: One, level: Level, result: float | None, at: int) -> None:
        if level.limit is None:
            is_up, is_down = result == 1.0, result == 0.0
        else:
            clear = level.limit if level.clear is None else level.clear
            known = result is not None
            is_up = known and (result > level.limit if level.above else result < level.limit)  # type: ignore[operator]
            is_down = known and (result <= clear if level.above else result >= clear)  # type: ignore[operator]
        name = level.level
        if is_up:
            one.up.setdefault(name, at)
        else:
            one.up.pop(name, None)
        if is_down:
            one.down.setdefault(name, at)
        else:
            one.down.pop(name, None)
        if is_up and at - one.up[name] >= level.for_ms:
            one.on[name] = True

    def _raised(self, one: One, rule: Rule) -> list[str]:
        absent = one.absent and rule.no_data is not None and rule.no_data.state == "alerting"
        return [level for level in RANKS if one.on[level]] + (["absent"] if absent else [])

    def _switch_off(self, one: One, rule: Rule, device: Device, at: int, touched: list[str]) -> None:
        keep = self._keep(rule, device)
        nd = rule.no_data
        if one.absent and one.back and nd is not None and nd.state != "alerting":
            one.absent, one.back = False, 0
        for name in self._order(one, rule):
            if name not in touched:
                continue
            since = one.back if name == "absent" else one.down.get(name, 0)
            if not since:
                continue
            if at - since < (keep if self._alone(one, rule) else 0):
                continue
            if name == "absent":
                one.absent, one.back = False, 0
            else:
                one.on[name] = False

    def _alone(self, one: One, rule: Rule) -> bool:
        return len(self._raised(one, rule)) == 1

    def _order(self, one: One, rule: Rule) -> list[str]:
        """Raised levels, the highest first; absence before a level of its own rank."""
        nd = rule.no_data

        def rank(name: str) -> tuple[int, int]:
            if name == "absent":
                assert nd is not None
                return (-RANKS.index(nd.level), -1)
            return (-RANKS.index(name), 0)

        return sorted(self._raised(one, rule), key=rank)

    def _outcome(self, one: One, rule: Rule, device: Device, at: int, cause: str | None) -> list[Any]:
        names = [rule.no_data.level if n == "absent" and rule.no_data else n for n in self._raised(one, rule)]
        found: list[Any] = []
        if names:
            level = max(names, key=RANKS.index)
            if one.state != "firing":
                found.append(
                    (max(at, one.at), rule.name, device.name, cause or "firing", "firing", level, None)
                )
            elif RANKS.index(level) > RANKS.index(one.level):
                found.append(
                    (
                        max(at, one.at),
                        rule.name,
                        device.name,
                        cause or "escalated",
                        "firing",
                        level,
                        one.level,
                    )
                )
            elif level != one.level:
                found.append(
                    (max(at, one.at), rule.name, device.name, "deescalated", "firing", level, one.level)
                )
            if found:
                one.at = found[0][0]
            one.state, one.level = "firing", level
            return found
        waiting = [level for level in RANKS if level in one.up]
        if one.state == "firing":
            end = max(at, one.at)
            found.append((end, rule.name, device.name, cause or "resolved", "resolved", one.level, one.level))
            one.state, one.at = "inactive", 0
        elif one.state == "pending" and not waiting:
            end = max(at, one.at)
            found.append((end, rule.name, device.name, cause or "inactive", "inactive", one.level, None))
            one.state, one.at = "inactive", 0
        if waiting and one.state == "inactive":
            one.state, one.level, one.at = "pending", waiting[-1], at
            found.append((at, rule.name, device.name, "pending", "pending", waiting[-1], None))
        return found

    def tick(self, listening: int) -> list[Any]:
        self.listening = max(self.listening, listening)
        found = []
        for device in self.devices.values():
            for rule in self.rules:
                if (rule.name, device.name) in self.states:
                    found += [(*what, backlog) for what, backlog in self._tick(rule, device)]
        return found

    def _tick(self, rule: Rule, device: Device) -> list[Any]:  # noqa: C901 - plain on purpose
        one, now = self._one(rule, device), device.now(self.listening)
        found: list[Any] = []
        levels = {level.level: level for level in self._levels(rule, device)}
        while True:
            moments: list[tuple[int, int]] = []
            keep = self._keep(rule, device) if self._alone(one, rule) else 0
            for name, level in levels.items():
                if not one.on[name] and name in one.up:
                    moments.append((one.up[name] + level.for_ms, 0))
                if one.on[name] and name in one.down:
                    moments.append((one.down[name] + keep, 0))
            if one.absent and one.back:
                moments.append((one.back + keep, 0))
            nd = rule.no_data
            if (
                nd is not None
                and nd.state != "keep_last"
                and (not one.absent or one.back)
                and nd.metric in device.last
            ):
                due = max(device.last[nd.metric][0] + nd.after_ms, device.first + rule.warmup_ms)
                moments.append((due, 1))
            moments = sorted(moment for moment in moments if moment[0] <= now)
            if not moments:
                return found
            at, is_absence = moments[0]
            if is_absence:
                found += [
                    (what, False if what[3] == "no_data" else device.backlog)
                    for what in self._miss(one, rule, device, at)
                ]
            else:
                for name, level in levels.items():
                    if not one.on[name] and name in one.up and one.up[name] + level.for_ms <= at:
                        one.on[name] = True
                self._switch_off(one, rule, device, at, [*RANKS, "absent"])
                found += [(what, device.backlog) for what in self._outcome(one, rule, device, at, None)]

    def _miss(self, one: One, rule: Rule, device: Device, at: int) -> list[Any]:
        assert rule.no_data is not None
        one.absent, one.back = True, 0
        if rule.no_data.state == "no_data":
            firing = one.state == "firing"
            level = one.level if firing else rule.no_data.level
            return [
                (
                    at,
                    rule.name,
                    device.name,
                    "no_data",
                    "firing" if firing else "inactive",
                    level,
                    level if firing else None,
                )
            ]
        if rule.no_data.state == "ok":
            one.on = dict.fromkeys(RANKS, False)
            one.up, one.down = {}, {}
        self._switch_off(one, rule, device, at, [*RANKS, "absent"])
        return self._outcome(one, rule, device, at, "no_data")


def evaluate(expr: str, device: Device, at: int) -> float | None:  # noqa: C901 - one case an expression
    """The few expressions the property test draws from, each written out by hand."""
    last = {m: v for m, (t, v) in device.last.items() if at - t <= LOOKBACK_MS}

    def window(metric: str, ms: int) -> list[tuple[int, float]]:
        return [(t, v) for t, v in device.history.get(metric, []) if at - ms < t <= at]

    def value(metric: str) -> float:
        return last.get(metric, math.nan)

    result: float
    match expr:
        case "a" | "b" | "c":
            result = value(expr)
        case "a + b":
            result = value("a") + value("b")
        case "a / b":
            result = value("a") / value("b") if value("b") else math.nan
        case "avg_over_time ( a , 30s )":
            seen = [v for _, v in window("a", 30_000)]
            result = math.fsum(seen) / len(seen) if seen else math.nan
        case "max_over_time ( a , 30s ) - min_over_time ( b , 20s )":
            high, low = [v for _, v in window("a", 30_000)], [v for _, v in window("b", 20_000)]
            result = max(high) - min(low) if high and low else math.nan
        case "delta ( a , 30s )":
            pair = window("a", 30_000)
            result = pair[-1][1] - pair[0][1] if len(pair) > 1 and pair[-1][0] > pair[0][0] else math.nan
        case "count_over_time ( c , 15s )":
            result = float(len(window("c", 15_000))) or math.nan
        case "a > 5 and b < 3":
            return _both(_compare(value("a") > 5, value("a")), _compare(value("b") < 3, value("b")))
        case "a > 7 or not c <= 4":
            left, right = _compare(value("a") > 7, value("a")), _compare(value("c") > 4, value("c"))
            return _not(_both(_not(left), _not(right)))
        case "2 < c < 8":
            return _compare(2 < value("c") < 8, value("c"))
        case _:
            raise AssertionError(expr)
    return None if math.isnan(result) or math.isinf(result) else result


def _compare(truth: bool, *sides: float) -> float | None:
    return None if any(math.isnan(side) for side in sides) else float(truth)


def _not(truth: float | None) -> float | None:
    return None if truth is None else 1.0 - truth


def _both(left: float | None, right: float | None) -> float | None:
    if 0.0 in (left, right):
        return 0.0
    return None if None in (left, right) else 1.0
