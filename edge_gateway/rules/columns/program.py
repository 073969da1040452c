"""Alert rules compiled together: shared inputs and columns, and one latch for each level of each rule variant.

A latch is up where sign · column > threshold, and clear where clear_sign · clear_column ≤ clear_threshold. Absence is
a latch too: only ticks raise it, and any reading of its metric clears it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from edge_gateway.records.alerts import LEVELS
from edge_gateway.rules.columns.compile import Operation, Symbols, compile_analysis
from edge_gateway.rules.columns.observed import observe
from edge_gateway.rules.columns.schedules import ALWAYS
from edge_gateway.rules.language.analysis import Analysis, analyse
from edge_gateway.rules.language.ruleset import Level, NoData, Rule, levels_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_gateway.columns.frame import BoolColumn, FloatColumn, IntColumn
    from edge_gateway.rules.columns.registry_view import Strings
    from edge_gateway.rules.language.expression import Call
    from edge_gateway.rules.language.matching import Variant

ABSENT: Final = len(LEVELS)
"""Key of a rule's absence latch; the keys of the others are the ranks of their levels."""

NO_COLUMN: Final = -1
NEVER: Final = 1 << 60
"""Longer than any wait in ms, and more than any number of readings."""


@dataclass(frozen=True, slots=True)
class ExpressionColumn:
    """An expression, computed on rows that have any of the inputs `triggers`, and the columns `beside` with it.

    `clock`: the inputs whose newest time is the rule's now.
    """

    operation: Operation
    triggers: tuple[int, ...]
    rings: tuple[int, ...]
    clock: tuple[int, ...]
    beside: tuple[int, ...] = ()


class RuleColumns(NamedTuple):
    """(column, clear column) of each level of a rule, and the column whose value its transitions show."""

    levels: tuple[tuple[int, int], ...]
    value: int

    def all(self) -> Iterator[int]:
        yield from (column for pair in self.levels for column in pair)
        yield self.value


@dataclass(frozen=True, slots=True)
class Latch:
    """One level, or the absence, of a rule variant.

    `key` is the rank of the level, or ABSENT. `raises`: the alert fires while it is on. `coupled`: `keep_ms` counts
    only while no other raising latch of the alert is on. `watched`: the inputs whose silence an absence latch tells, as
    number and as text. Times in ms. It switches on `for_ms` after it was first up, or at `for_count` readings in a row,
    of which one is NEVER. `schedule`: the number of its times in the program, or ALWAYS.
    `timed`: the number of its limits by time in the program, or ALWAYS; `threshold` is then the one reached first.
    """

    rule: int
    key: int
    rank: int
    column: int
    threshold: float
    sign: float
    clear_column: int
    clear_threshold: float
    clear_sign: float
    value_column: int
    for_ms: int
    for_count: int
    keep_ms: int
    warmup_ms: int
    limit: float | None
    raises: bool
    coupled: bool
    schedule: int
    timed: int
    watched: tuple[int, int]


class TimedThreshold(NamedTuple):
    """A threshold that is another one at times: (schedule, threshold), the first that holds.

    `deadband`: as in `Level`.
    """

    default: float
    by_time: tuple[tuple[int, float], ...]
    deadband: float


@dataclass(slots=True)
class LatchTable:
    """All latches as columns, indexed by latch number."""

    rule: IntColumn
    key: IntColumn
    column: IntColumn
    threshold: FloatColumn
    sign: FloatColumn
    clear_column: IntColumn
    clear_threshold: FloatColumn
    clear_sign: FloatColumn
    value_column: IntColumn
    for_ms: IntColumn
    for_count: IntColumn
    keep_ms: IntColumn
    warmup_ms: IntColumn
    raises: BoolColumn
    coupled: BoolColumn
    schedule: IntColumn
    timed: IntColumn
    watched: IntColumn


_DTYPES: Final = {
    **dict.fromkeys(("threshold", "sign", "clear_threshold", "clear_sign"), np.float64),
    **dict.fromkeys(("raises", "coupled"), np.bool_),
}


class Program:
    """The compiled alert rules. Columns 0 … inputs − 1 are the inputs, the rest expressions.

    By rule: `main_metric`, the metric its transitions name; `clocks`, the inputs whose newest time is its now.
    `read`, the inputs of its expressions, [rules, most of any], filled up with the first. `least_absence`:
    watched metrics to their shortest `no_data` time. `number_of`: rules by name. `schedules`: all that rules have.
    `observed`: what aggregates over groups read, and `awaited` all metrics whose silence counts, those of
    `least_absence` first.
    """

    def __init__(self, rules: tuple[Rule, ...], strings: Strings, aggregates: Sequence[Call] = ()) -> None:
        self.rules = rules
        self.symbols = Symbols(strings)
        self.latches: list[Latch] = []
        self.timed: list[TimedThreshold] = []
        self._variants: dict[Variant, tuple[int, ...]] = {}
        self._columns: dict[tuple[object, ...], int] = {}
        for rule in rules:
            self._number_inputs(rule)
        self.observed = observe(aggregates, self.symbols)
        self.observed_rings = tuple(sorted({ring for each in self.observed for ring in each.rings}))
        self.inputs = tuple(self.symbols.inputs)
        self.first_expression = len(self.inputs)
        self.expressions: list[ExpressionColumn] = []
        self.clocks = tuple(self._clock(rule) for rule in rules)
        self.read = self._inputs_read()
        self.number_of = {rule.name: number for number, rule in enumerate(rules)}
        self._columns_of = [self._rule_columns(rule) for rule in rules]
        self._table: LatchTable | None = None
        self.main_metric = tuple(rule.metric for rule in rules)
        self.any_unit = any(rule.unit for rule in rules)
        self.any_warmup = any(rule.warmup_ms for rule in rules)
        self.any_repeat = any(rule.repeat_ms for rule in rules)
        self.schedules = tuple(dict.fromkeys(each for rule in rules for each in rule.schedules))
        self.least_absence = self._least_absence()
        named = (name for each in self.observed for name in each.awaited)
        self.awaited = tuple(dict.fromkeys((*self.least_absence, *named)))

    def _least_absence(self) -> dict[str, int]:
        least: dict[str, int] = {}
        for rule in self.rules:
            if rule.no_data is not None and rule.watches_silence:
                metric, after = rule.no_data.metric, rule.no_data.after_ms
                least[metric] = min(after, least.get(metric, after))
        return least

    def _number_inputs(self, rule: Rule) -> None:
        for name, is_text in rule.metrics:
            self.symbols.input(name, is_text=is_text)
        if rule.no_data is not None:
            self.watched(rule.no_data.metric)

    def _clock(self, rule: Rule) -> tuple[int, ...]:
        """The inputs of a rule: its expressions', and those watched for silence."""
        read = {name: self.symbols.input(name, is_text=is_text) for name, is_text in rule.metrics}
        also = (
            () if rule.no_data is None or rule.no_data.metric in read else self.watched(rule.no_data.metric)
        )
        return (*read.values(), *also)

    def _inputs_read(self) -> IntColumn:
        read = [
            [self.symbols.input(name, is_text=is_text) for name, is_text in rule.metrics] or [0]
            for rule in self.rules
        ]
        most = max(map(len, read), default=1)
        return np.array([each + each[:1] * (most - len(each)) for each in read], np.int64).reshape(-1, most)

    # --- columns

    def _rule_columns(self, rule: Rule) -> RuleColumns:
        if not rule.levels:
            assert rule.no_data is not None
            return RuleColumns((), self.watched(rule.no_data.metric)[0])
        clock = self._clock(rule)
        triggers = tuple(self.symbols.input(name, is_text=is_text) for name, is_text in rule.metrics)
        value = self._value_column(rule, triggers, clock) if rule.is_condition else NO_COLUMN
        levels = tuple(self._level_columns(rule, level, triggers, clock, value) for level in rule.levels)
        return RuleColumns(levels, value if rule.is_condition else levels[0][0])

    def _level_columns(
        self, rule: Rule, level: Level, triggers: tuple[int, ...], clock: tuple[int, ...], value: int
    ) -> tuple[int, int]:
        """(column, clear column) of a level; the latter is NO_COLUMN if it clears by its own."""
        text, clear = level.expr or rule.expr or "", NO_COLUMN
        analysis = analyse(text)
        if text in analysis.numbers:
            return triggers[0], clear
        if level.clear_expr is not None:
            clear = self._expression(level.clear_expr, analyse(level.clear_expr), triggers, clock)
        beside = tuple(column for column in (value, clear) if column >= self.first_expression)
        return self._expression(text, analysis, triggers, clock, beside), clear

    def _value_column(self, rule: Rule, triggers: tuple[int, ...], clock: tuple[int, ...]) -> int:
        """The column whose value a condition's transitions show: its first number, or the formula of that."""
        if rule.value_expr:
            return self._expression(rule.value_expr, analyse(rule.value_expr), triggers, clock)
        name = next((name for name, is_text in rule.metrics if not is_text), None)
        if name is None:
            return NO_COLUMN
        if len(triggers) == 1:
            return self.symbols.input(name, is_text=False)
        return self._expression(name, analyse(name), triggers, clock)

    def _expression(
        self,
        text: str,
        analysis: Analysis,
        triggers: tuple[int, ...],
        clock: tuple[int, ...],
        beside: tuple[int, ...] = (),
    ) -> int:
        key = (text, triggers, clock, beside)
        if key not in self._columns:
            operation = compile_analysis(analysis, self.symbols, clock)
            rings = tuple(self.symbols.ring(each) for each in analysis.ranges)
            self._add(key, ExpressionColumn(operation, triggers, rings, clock, beside))
        return self._columns[key]

    def _add(self, key: tuple[object, ...], expression: ExpressionColumn) -> None:
        self.expressions.append(expression)
        self._columns[key] = self.first_expression + len(self.expressions) - 1

    def _is_there(self, watched: tuple[int, int]) -> int:
        """The column that is 1 wherever a watched metric has a reading."""
        if watched not in self._columns:
            self._add(watched, ExpressionColumn(lambda _: np.float64(1.0), watched, (), watched))  # type: ignore[arg-type, return-value]
        return self._columns[watched]

    def watched(self, metric: str) -> tuple[int, int]:
        """The inputs of a metric whose silence counts, as number and as text; numbered if they are new."""
        return self.symbols.input(metric, is_text=False), self.symbols.input(metric, is_text=True)

    def rings_of(self, variants: tuple[Variant, ...]) -> tuple[int, ...]:
        """The range histories that these variants read, ascending."""
        columns = [column for rule, _ in variants for column in self._columns_of[rule].all()]
        expressions = [
            self.expressions[c - self.first_expression] for c in columns if c >= self.first_expression
        ]
        return tuple(sorted({ring for expression in expressions for ring in expression.rings}))

    @property
    def tags(self) -> set[str]:
        """The tags named in expressions."""
        own = {tag for rule in self.rules for analysis in rule.analyses for tag in analysis.tags}
        return own.union(*(each.tags for each in self.observed))

    # --- latches

    def latches_of(self, variant: Variant) -> tuple[int, ...]:
        """The latch numbers of a variant, which is compiled when first asked for."""
        known = self._variants.get(variant)
        if known is not None:
            return known
        latches = self._latches(*variant)
        first = len(self.latches)
        self.latches += latches
        self._table = None
        numbers = self._variants[variant] = tuple(range(first, first + len(latches)))
        return numbers

    def _latches(self, rule_number: int, override_number: int) -> list[Latch]:
        rule = self.rules[rule_number]
        override = rule.overrides[override_number] if override_number >= 0 else None
        keep = rule.keep_ms if override is None or override.keep_ms is None else override.keep_ms
        levels = levels_of(rule, override)
        raising = len(levels) + (rule.no_data is not None and rule.no_data.state == "alerting")
        coupled = keep > 0 and raising > 1
        found = [
            self._level_latch(rule_number, place, level, keep, coupled=coupled)
            for place, level in enumerate(levels)
        ]
        if rule.no_data is not None and rule.watches_silence:
            found.append(self._absence_latch(rule_number, rule.no_data, keep, coupled=coupled))
        return found

    def _level_latch(self, number: int, place: int, level: Level, keep_ms: int, *, coupled: bool) -> Latch:
        column, clear_column = self._columns_of[number].levels[place]
        sign = 1.0 if level.above else -1.0
        limit = 0.5 if level.limit is None else level.limit
        clear = limit - sign * level.deadband if level.clear is None else level.clear
        least = min(sign * each for each in (limit, *(limit for _, limit in level.limits)))
        has_clear = clear_column != NO_COLUMN
        rank = LEVELS.index(level.level)
        return Latch(
            rule=number,
            key=rank,
            rank=rank,
            column=column,
            threshold=least,
            sign=sign,
            clear_column=clear_column if has_clear else column,
            clear_threshold=-0.5 if has_clear else sign * clear,
            clear_sign=-1.0 if has_clear else sign,
            value_column=self._columns_of[number].value,
            for_ms=NEVER if level.for_readings else level.for_ms,
            for_count=level.for_readings or NEVER,
            keep_ms=keep_ms,
            warmup_ms=self.rules[number].warmup_ms,
            limit=level.limit,
            raises=True,
            coupled=coupled,
            schedule=self._schedule(level.at or self.rules[number].at),
            timed=self._timed_limits(level, sign),
            watched=(0, 0),
        )

    def _absence_latch(self, number: int, no_data: NoData, keep_ms: int, *, coupled: bool) -> Latch:
        watched = self.watched(no_data.metric)
        column = self._is_there(watched)
        raises = no_data.state == "alerting"
        return Latch(
            rule=number,
            key=ABSENT,
            rank=LEVELS.index(no_data.level),
            column=column,
            threshold=np.inf,
            sign=1.0,
            clear_column=column,
            clear_threshold=np.inf,
            clear_sign=1.0,
            value_column=self._columns_of[number].value,
            for_ms=no_data.after_ms,
            for_count=NEVER,
            keep_ms=keep_ms if raises else 0,
            warmup_ms=self.rules[number].warmup_ms,
            limit=None,
            raises=raises,
            coupled=coupled and raises,
            schedule=self._schedule(self.rules[number].at),
            timed=ALWAYS,
            watched=watched,
        )

    def _schedule(self, times: tuple[str, ...]) -> int:
        return self.schedules.index(times) if times else ALWAYS

    def _timed_limits(self, level: Level, sign: float) -> int:
        if not level.limits or level.limit is None:
            return ALWAYS
        by_time = tuple((self._schedule((time,)), sign * limit) for time, limit in level.limits)
        self.timed.append(TimedThreshold(sign * level.limit, by_time, level.deadband))
        return len(self.timed) - 1

    @property
    def table(self) -> LatchTable:
        """All latches so far, as columns."""
        if self._table is None:
            columns: dict[str, Any] = {
                name: np.array([getattr(latch, name) for latch in self.latches], _DTYPES.get(name, np.int64))
                for name in LatchTable.__dataclass_fields__
            }
            columns["watched"] = columns["watched"].reshape(-1, 2)
            self._table = LatchTable(**columns)
        return self._table
