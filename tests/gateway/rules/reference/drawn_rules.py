"""Random rules, and random edits of them, from a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from tests.gateway.rules.reference.definitions import (
    ONLINE,
    RANKS,
    Command,
    Definition,
    Level,
    Override,
    RuleFile,
    Silence,
)
from tests.gateway.rules.reference.expressions import CONDITIONS, NUMBERS, OF_RECORDS, Expression
from tests.gateway.rules.reference.week import Times

ZONES = {"berlin": "Europe/Berlin", "lyon": "America/New_York"}
"""Zones of sites; others are in UTC."""
METRICS = ("a", "b", "c", "door", "pump")
_READINGS = (0, 0, 0, 2, 3)
_TIMES = (0, 0, 5_000, 10_000, 23_000, 60_000, 400_000)


def drawn_file(random: Random, count: int, start: int) -> RuleFile:
    """So many rules; their times lie around `start` (ms), at some site."""
    draw = Draw(random, start, timed=random.random() < 0.7)
    return RuleFile(tuple(draw.rule(number) for number in range(count)), drawn_lookbacks(random))


def drawn_lookbacks(random: Random) -> dict[str, int]:
    online = dict.fromkeys(random.sample(METRICS, random.choice((1, 2))), ONLINE)
    return random.choice(({}, {}, {"b": 20_000}, {"c": 700_000, "door": 700_000}, online))


@dataclass
class Draw:
    """Draws rules. `timed`: some hold, or have other limits, at times of the week around `start` (ms)."""

    random: Random
    start: int
    timed: bool

    def rule(self, number: int) -> Definition:
        random = self.random
        kind, above = random.random(), random.random() < 0.5
        expression: Expression | None = self.expression() if kind < 0.7 else random.choice(CONDITIONS)
        levels = self.limits(above=above) if kind < 0.7 else self.conditions()
        if levels[0].own is not None or kind > 0.92:
            expression = None
        silence = self.silence() if kind > 0.92 or random.random() < 0.4 else None
        override = Override(
            "lyon", levels[0].name, random.choice((None, *_TIMES)), random.choice((11_000, 7_000))
        )
        levels = () if kind > 0.92 else levels
        return Definition(
            name=f"R{number}",
            expression=expression,
            above=above,
            levels=levels,
            sites=self.sites(),
            keep=random.choice(_TIMES),
            silence=silence,
            commands=self.commands(),
            override=override if kind < 0.7 and random.random() < 0.4 else None,
            warmup=random.choice((0, 0, 0, 25_000)),
            repeat=random.choice((None, None, None, 30_000)),
            at=self.times() if random.random() < 0.5 and not any(level.at for level in levels) else (),
            resets=random.random() < 0.1,
        )

    def sites(self) -> tuple[str, ...]:
        return self.random.choice(((), (), ("berlin", "lyon"), ("oslo",)))

    def expression(self) -> Expression:
        return self.random.choice(NUMBERS if self.random.random() < 0.75 else OF_RECORDS)

    def times(self) -> Times:
        """A few spans of minutes, on all days or some; nothing if the rules know no times."""
        if not self.timed:
            return ()
        if self.random.random() < 0.2:
            return (self._span(self.random.choice((90, 23 * 60))),)
        return tuple(
            self._span(self.random.choice((2, 5, 15, 30))) for _ in range(self.random.choice((1, 2, 4)))
        )

    def _span(self, minutes: int) -> str:
        random = self.random
        zone = ZoneInfo(random.choice((*ZONES.values(), "UTC")))
        begin = datetime.fromtimestamp(self.start / 1000, UTC).astimezone(zone)
        begin = begin.replace(tzinfo=None) + timedelta(minutes=random.randint(-15, 40))
        end = begin + timedelta(minutes=minutes)
        today = begin.strftime("%a").lower()
        days = random.choice(("", "", "", f"{today} ", "mon-fri ", "sat,sun ", "fri-mon "))
        return f"{days}{begin:%H:%M}-{end:%H:%M}"

    def conditions(self) -> tuple[Level, ...]:
        """One level of the rule's condition, or several with conditions of their own."""
        random = self.random
        names = random.sample(RANKS, random.randint(1, 3))
        is_one, timed = random.random() < 0.5, random.random() < 0.5
        return tuple(
            Level(
                name,
                for_ms=random.choice(_TIMES),
                readings=random.choice(_READINGS),
                own=None if is_one else random.choice(CONDITIONS),
                ends=random.choice((None, None, *CONDITIONS)),
                at=self.times() if timed and not is_one else (),
            )
            for name in sorted(names[: 1 if is_one else 3], key=RANKS.index)
        )

    def limits(self, *, above: bool) -> tuple[Level, ...]:
        random = self.random
        names = sorted(random.sample(RANKS, random.randint(1, 3)), key=RANKS.index)
        sign = 1 if above else -1
        limits = sorted((random.randint(1, 9) for _ in names), key=lambda limit: sign * limit)
        timed, moves = random.random() < 0.5, random.random() < 0.5
        others = [
            (time, float(random.randint(-4, 4))) for time in dict.fromkeys(self.times() if moves else ())
        ]
        return tuple(
            Level(
                name,
                float(limit),
                None if others else random.choice((None, float(limit - sign * random.randint(0, 3)))),
                random.choice(_TIMES),
                random.choice(_READINGS),
                at=self.times() if timed else (),
                limits=tuple((time, limit + other) for time, other in others),
                deadband=float(random.randint(1, 3)) if others else 0.0,
            )
            for name, limit in zip(names, limits, strict=True)
        )

    def silence(self) -> Silence:
        random = self.random
        state = random.choice(("alerting", "alerting", "no_data", "ok", "keep_last"))
        return Silence(random.choice((12_000, 40_000)), random.choice(METRICS), state, random.choice(RANKS))

    def commands(self) -> tuple[Command, ...]:
        random = self.random
        if random.random() < 0.5:
            return ()
        return (
            Command("start", ("firing", "escalated"), random.choice((0, 30_000))),
            Command("stop", ("resolved",), random.choice((0, 0, 30_000))),
            Command(
                "tell", random.choice((("no_data",), ("deescalated", "repeat"), ("firing", "no_data"))), 0
            ),
        )


def edited(random: Random, file: RuleFile, start: int) -> RuleFile:
    """The file with one to three edits: of rules, of lookbacks, rules that come and go."""
    rules = list(file.rules)
    for _ in range(random.choice((1, 1, 2, 3))):
        number = random.randrange(len(rules)) if rules else 0
        draw = Draw(random, start, timed=random.random() < 0.7)
        chance = random.random()
        if chance < 0.1 and len(rules) > 1:
            rules.pop(number)
        elif chance < 0.2 or not rules:
            free = next(each for each in range(10) if f"R{each}" not in {rule.name for rule in rules})
            rules.insert(number, draw.rule(free))
        else:
            rules[number] = random.choice(EDITS)(draw, rules[number])
    lookbacks = drawn_lookbacks(random) if random.random() < 0.1 else file.lookbacks
    return RuleFile(tuple(rules), lookbacks)


Edit = Callable[[Draw, Definition], Definition]


def _another_expression(draw: Draw, rule: Definition) -> Definition:
    if rule.expression is None:
        levels = tuple(replace(level, own=draw.random.choice(CONDITIONS)) for level in rule.levels)
        return replace(rule, levels=levels)
    is_condition = rule.levels[0].limit is None
    return replace(rule, expression=draw.random.choice(CONDITIONS) if is_condition else draw.expression())


def _other_limits(draw: Draw, rule: Definition) -> Definition:
    """All limits moved by the same, so that they stay in order."""
    by = draw.random.choice((-2.0, -1.0, 1.0, 2.0))
    return replace(rule, levels=tuple(_moved(level, by) for level in rule.levels))


def _moved(level: Level, by: float) -> Level:
    if level.limit is None:
        return level
    clear = None if level.clear is None else level.clear + by
    limits = tuple((time, limit + by) for time, limit in level.limits)
    return replace(level, limit=level.limit + by, clear=clear, limits=limits)


def _other_waits(draw: Draw, rule: Definition) -> Definition:
    random = draw.random
    levels = tuple(
        replace(level, for_ms=random.choice(_TIMES), readings=random.choice(_READINGS))
        for level in rule.levels
    )
    return replace(rule, levels=levels, keep=random.choice(_TIMES))


def _other_levels(draw: Draw, rule: Definition) -> Definition:
    """Levels drawn anew, of the same form."""
    if not rule.levels:
        return rule
    if rule.levels[0].limit is not None:
        levels = draw.limits(above=rule.above)
    else:
        levels = draw.conditions()
        if (levels[0].own is None) != (rule.expression is not None):
            return rule
    return replace(
        rule, levels=levels, override=None, at=() if any(level.at for level in levels) else rule.at
    )


def _another_severity(draw: Draw, rule: Definition) -> Definition:
    if len(rule.levels) != 1:
        return rule
    level = replace(rule.levels[0], name=draw.random.choice(RANKS))
    return replace(rule, levels=(level,), override=None)


def _other_times(draw: Draw, rule: Definition) -> Definition:
    return rule if any(level.at for level in rule.levels) else replace(rule, at=draw.times())


def _without_clear(_draw: Draw, rule: Definition) -> Definition:
    return replace(rule, levels=tuple(replace(level, clear=None) for level in rule.levels))


EDITS: tuple[Edit, ...] = (
    _another_expression,
    _other_limits,
    _other_limits,
    _other_waits,
    _other_levels,
    _another_severity,
    _other_times,
    lambda draw, rule: replace(rule, sites=draw.sites()),
    lambda draw, rule: replace(rule, silence=draw.silence() if rule.levels else rule.silence),
    lambda draw, rule: replace(rule, commands=draw.commands()),
    lambda draw, rule: replace(rule, resets=draw.random.random() < 0.5),
    _without_clear,
)
