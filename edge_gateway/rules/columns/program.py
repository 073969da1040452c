"""Rules compiled together: shared inputs and columns, and one latch for each level of each variant of a rule.

A latch looks at one column. It goes up beyond `threshold` (strictly, of sign · column) and down at or past
`clear_threshold` (of clear_sign · clear column). Absence is a latch too: it is raised by ticks alone, and any
reading of its metric takes it down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edge_gateway.records.alerts import LEVELS
from edge_gateway.rules.columns.compile import Names, Operation, compile_tree
from edge_gateway.rules.language.kinds import Shape, shape_of
from edge_gateway.rules.language.ruleset import Level, NoData, Rule, levels_of

if TYPE_CHECKING:
    from edge_gateway.columns.frame import BoolColumn, FloatColumn, IntColumn
    from edge_gateway.rules.columns.registry_view import Strings
    from edge_gateway.rules.language.selection import Choice

ABSENT: Final = len(LEVELS)
"""Key of the absence latch of a rule, beside the ranks of its levels."""

NO_COLUMN: Final = -1


@dataclass(frozen=True, slots=True)
class ExpressionColumn:
    """Computed on rows that bring any of `triggers`; `beside` are the columns computed on the same rows."""

    operation: Operation
    triggers: tuple[int, ...]
    rings: tuple[int, ...]
    beside: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Latch:
    """`key` is the rank of a level, or ABSENT; `raises`: it makes the alert fire."""

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
    keep_ms: int
    warmup_ms: int
    limit: float | None
    raises: bool
    coupled: bool


@dataclass(slots=True)
class LatchTable:
    """The latches as columns, by latch number."""

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
    keep_ms: IntColumn
    warmup_ms: IntColumn
    raises: BoolColumn
    coupled: BoolColumn


_DTYPES: Final = {
    **dict.fromkeys(("threshold", "sign", "clear_threshold", "clear_sign"), np.float64),
    **dict.fromkeys(("raises", "coupled"), np.bool_),
}


class Program:
    """The alert rules compiled. Columns 0 … inputs − 1 are the inputs themselves, the rest expressions."""

    def __init__(self, rules: tuple[Rule, ...], strings: Strings) -> None:
        self.rules = rules
        self.names = Names(strings)
        self.latches: list[Latch] = []
        self._variants: dict[Choice, tuple[int, ...]] = {}
        self._columns: dict[tuple[object, ...], int] = {}
        for rule in rules:
            self._claim_inputs(rule)
        self.inputs = tuple(self.names.inputs)
        self.first_expression = len(self.inputs)
        self.expressions: list[ExpressionColumn] = []
        self._columns_of = [self._rule_columns(rule) for rule in rules]
        self._table: LatchTable | None = None
        self.about = tuple(rule.metric for rule in rules)
        """The metric that each rule's transitions are about."""
        self.any_unit = any(rule.unit for rule in rules)
        self.any_warmup = any(rule.warmup_ms for rule in rules)
        self.any_repeat = any(rule.repeat_ms for rule in rules)
        self.least_absence = self._least_absence()
        """Input to the shortest silence any rule complains of."""

    def _least_absence(self) -> dict[int, int]:
        least: dict[int, int] = {}
        for rule in self.rules:
            watched = self.watched(rule)
            if watched is not None and rule.no_data is not None and rule.no_data.state != "keep_last":
                after = rule.no_data.after_ms
                least[watched] = min(after, least.get(watched, after))
        return least

    def _claim_inputs(self, rule: Rule) -> None:
        for name, is_text in rule.metrics:
            self.names.input(name, is_text=is_text)
        if rule.no_data is not None:
            self.watched(rule)

    # --- columns

    def _rule_columns(self, rule: Rule) -> tuple[int, int, int]:
        """(column, clear column, value column) of a rule; NO_COLUMN where it has none."""
        shape, clear = rule.shape, rule.clear_shape
        if shape is None:
            watched = self.watched(rule)
            assert watched is not None
            return NO_COLUMN, NO_COLUMN, watched
        triggers = tuple(self.names.input(name, is_text=is_text) for name, is_text in rule.metrics)
        value = self._value_column(shape, triggers) if shape.is_condition else NO_COLUMN
        clear_column = (
            NO_COLUMN if clear is None else self._expression(rule.clear_expr or "", clear, triggers, ())
        )
        beside = tuple(column for column in (value, clear_column) if column >= self.first_expression)
        column = self._plain_or_expression(rule, shape, triggers, beside)
        return column, clear_column, value if shape.is_condition else column

    def _value_column(self, shape: Shape, triggers: tuple[int, ...]) -> int:
        """What a condition's transition shows as value: its first number."""
        if not shape.numbers:
            return NO_COLUMN
        name = shape.numbers[0]
        if len(triggers) == 1:
            return self.names.input(name, is_text=False)
        return self._expression(name, shape_of(name), triggers, ())

    def _plain_or_expression(
        self, rule: Rule, shape: Shape, triggers: tuple[int, ...], beside: tuple[int, ...]
    ) -> int:
        if rule.expr in shape.numbers:
            return triggers[0]
        return self._expression(rule.expr or "", shape, triggers, beside)

    def _expression(self, text: str, shape: Shape, triggers: tuple[int, ...], beside: tuple[int, ...]) -> int:
        key = (text, triggers, beside)
        known = self._columns.get(key)
        if known is not None:
            return known
        operation = compile_tree(shape.tree, self.names)
        rings = tuple(self.names.ring(each) for each in shape.ranges)
        self.expressions.append(ExpressionColumn(operation, triggers, rings, beside))
        number = self._columns[key] = self.first_expression + len(self.expressions) - 1
        return number

    def watched(self, rule: Rule) -> int | None:
        """The input whose absence the rule watches; as the expression uses it, else a number."""
        if rule.no_data is None:
            return None
        is_text = dict(rule.metrics).get(rule.no_data.metric, False)
        return self.names.input(rule.no_data.metric, is_text=is_text)

    def rings_of(self, choices: tuple[Choice, ...]) -> tuple[int, ...]:
        """The rings that the chosen rules read."""
        columns = [column for rule, _ in choices for column in self._columns_of[rule]]
        expressions = [
            self.expressions[c - self.first_expression] for c in columns if c >= self.first_expression
        ]
        return tuple(sorted({ring for expression in expressions for ring in expression.rings}))

    @property
    def tags(self) -> set[str]:
        """Tags that expressions compare."""
        shapes = [
            shape for rule in self.rules for shape in (rule.shape, rule.clear_shape) if shape is not None
        ]
        return {tag for shape in shapes for tag in shape.tags}

    # --- latches

    def variant(self, choice: Choice) -> tuple[int, ...]:
        """Numbers of the latches of a rule under an override."""
        known = self._variants.get(choice)
        if known is not None:
            return known
        latches = self._latches(*choice)
        first = len(self.latches)
        self.latches += latches
        self._table = None
        numbers = self._variants[choice] = tuple(range(first, first + len(latches)))
        return numbers

    def _latches(self, rule_number: int, override_number: int) -> list[Latch]:
        rule = self.rules[rule_number]
        override = rule.overrides[override_number] if override_number >= 0 else None
        keep = rule.keep_ms if override is None or override.keep_ms is None else override.keep_ms
        levels = levels_of(rule, override)
        raising = len(levels) + (rule.no_data is not None and rule.no_data.state == "alerting")
        coupled = keep > 0 and raising > 1
        found = [self._level_latch(rule_number, level, keep, coupled=coupled) for level in levels]
        if rule.no_data is not None and rule.no_data.state != "keep_last":
            found.append(self._absence_latch(rule_number, rule.no_data, keep, coupled=coupled))
        return found

    def _level_latch(self, number: int, level: Level, keep_ms: int, *, coupled: bool) -> Latch:
        column, clear_column, value_column = self._columns_of[number]
        sign = 1.0 if level.above else -1.0
        limit = 0.5 if level.limit is None else level.limit
        clear = limit if level.clear is None else level.clear
        has_clear = clear_column != NO_COLUMN
        rank = LEVELS.index(level.level)
        return Latch(
            rule=number,
            key=rank,
            rank=rank,
            column=column,
            threshold=sign * limit,
            sign=sign,
            clear_column=clear_column if has_clear else column,
            clear_threshold=-0.5 if has_clear else sign * clear,
            clear_sign=-1.0 if has_clear else sign,
            value_column=value_column,
            for_ms=level.for_ms,
            keep_ms=keep_ms,
            warmup_ms=self.rules[number].warmup_ms,
            limit=level.limit,
            raises=True,
            coupled=coupled,
        )

    def _absence_latch(self, number: int, no_data: NoData, keep_ms: int, *, coupled: bool) -> Latch:
        rule = self.rules[number]
        watched = self.watched(rule)
        assert watched is not None
        raises = no_data.state == "alerting"
        return Latch(
            rule=number,
            key=ABSENT,
            rank=LEVELS.index(no_data.level),
            column=watched,
            threshold=np.inf,
            sign=1.0,
            clear_column=watched,
            clear_threshold=np.inf,
            clear_sign=1.0,
            value_column=self._columns_of[number][2],
            for_ms=no_data.after_ms,
            keep_ms=keep_ms if raises else 0,
            warmup_ms=rule.warmup_ms,
            limit=None,
            raises=raises,
            coupled=coupled and raises,
        )

    @property
    def table(self) -> LatchTable:
        """All latches as columns."""
        if self._table is None:
            columns: dict[str, Any] = {
                name: np.array([getattr(latch, name) for latch in self.latches], _DTYPES.get(name, np.int64))
                for name in LatchTable.__dataclass_fields__
            }
            self._table = LatchTable(**columns)
        return self._table
