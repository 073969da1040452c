"""Check the types of an expression, and collect the metrics, tags and ranges it names."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from edge_gateway.rules.language.advice import MISSING
from edge_gateway.rules.language.expression import (
    Binary,
    Call,
    Compare,
    Duration,
    MetricRef,
    Node,
    Number,
    OneOf,
    TagRef,
    Text,
    Unary,
    parse,
)
from edge_gateway.rules.language.functions import AGGREGATES, FAMILY, FUNCTIONS, OF_CONDITIONS
from edge_gateway.rules.language.tokens import ExpressionError

MAX_NODES: Final = 400
"""Bounds what one evaluation costs where the limit on operators does not: calls with calls as arguments."""

ValueType = Literal["number", "text", "condition", "duration", "metric"]
"""`metric`: a bare name; where it is used decides whether it is read as number or text."""

_TYPE_NAMES = {
    "number": "a number",
    "metric": "a number",
    "text": "a text",
    "condition": "a condition",
    "duration": "a duration",
}


class Range(NamedTuple):
    """The last `ms` of a metric, as the functions of a family need it."""

    metric: str
    ms: int
    family: str


@dataclass(frozen=True, slots=True)
class Analysis:
    """A checked expression.

    `numbers` and `states` are the metrics read as numbers and as texts, `silences` those of `no_data`, `tags` and
    `ranges` the others' names; each in the order of first mention. `aggregates`: the calls over groups of devices;
    `outside`: the first metric or tag that stands in none of them.
    """

    tree: Node
    is_condition: bool
    numbers: tuple[str, ...]
    states: tuple[str, ...]
    tags: tuple[str, ...]
    ranges: tuple[Range, ...]
    silences: tuple[str, ...] = ()
    aggregates: tuple[Call, ...] = ()
    outside: MetricRef | TagRef | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        return self.numbers + self.states


@lru_cache(maxsize=16_384)
def analyse(text: str) -> Analysis:
    """Parse and check an expression. ExpressionError with the position of the first error."""
    tree = parse(text)
    check = _Checker()
    value_type = check.value_type(tree)
    if value_type == "metric":
        value_type = check.number(tree)
    if value_type not in ("number", "condition"):
        raise ExpressionError(tree.at, f"expected a number or a condition, found {_TYPE_NAMES[value_type]}")
    metrics = check.metrics
    return Analysis(
        tree,
        is_condition=value_type == "condition",
        numbers=tuple(name for name, state in metrics.items() if not state),
        states=tuple(name for name, state in metrics.items() if state),
        tags=tuple(dict.fromkeys(check.tags)),
        ranges=tuple(dict.fromkeys(check.ranges)),
        silences=tuple(dict.fromkeys(check.silences)),
        aggregates=tuple(dict.fromkeys(check.aggregates)),
        outside=check.outside,
    )


@dataclass(slots=True)
class _Checker:
    """Walks a tree once. `metrics`: name to whether it is read as text; `nodes`: how many were checked.

    `within`: the aggregate whose argument is being checked.
    """

    metrics: dict[str, bool] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    ranges: list[Range] = field(default_factory=list)
    silences: list[str] = field(default_factory=list)
    aggregates: list[Call] = field(default_factory=list)
    within: Call | None = None
    outside: MetricRef | TagRef | None = None
    nodes: int = 0

    def value_type(self, node: Node) -> ValueType:  # noqa: PLR0911 - one line per type of node
        self._count(node)
        match node:
            case Number():
                return "number"
            case Duration():
                return "duration"
            case Text():
                return "text"
            case MetricRef():
                return "metric"
            case TagRef(name):
                self.tags.append(name)
                self._stands(node)
                return "text"
            case Unary(op, operand):
                return self.number(operand) if op == "-" else self._condition(operand, "'not' needs")
            case Binary():
                return self._binary(node)
            case Compare():
                return self._compare(node)
            case OneOf():
                return self._one_of(node)
        return self._call(node)

    def _count(self, node: Node) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise ExpressionError(
                node.at,
                f"an expression may have at most {MAX_NODES} values, operators and calls; "
                "move parts of it to 'record:' rules",
            )

    def number(self, node: Node) -> ValueType:
        value_type = self.value_type(node)
        if isinstance(node, MetricRef):
            self._use(node, state=False)
        elif value_type != "number":
            raise ExpressionError(node.at, f"expected a number, found {_TYPE_NAMES[value_type]}")
        return "number"

    def _use(self, metric: MetricRef, *, state: bool) -> None:
        if self.metrics.setdefault(metric.name, state) is not state:
            raise ExpressionError(metric.at, f"'{metric.name}' is used as a number and as a text")
        self._stands(metric)

    def _stands(self, node: MetricRef | TagRef) -> None:
        """Note a metric or tag that stands in no aggregate."""
        if self.within is None and self.outside is None:
            self.outside = node

    def _binary(self, node: Binary) -> ValueType:
        if node.op in ("and", "or"):
            self._condition(node.left, f"'{node.op}' needs")
            self._condition(node.right, f"'{node.op}' needs")
            return "condition"
        self.number(node.left)
        return self.number(node.right)

    def _condition(self, node: Node, who: str) -> ValueType:
        value_type = self.value_type(node)
        if value_type == "metric" and isinstance(node, MetricRef):
            advice = f'; write {node.name} == "true" or {node.name} > 0'
            raise ExpressionError(node.at, f"{who} a condition, and '{node.name}' is a metric{advice}")
        if value_type != "condition":
            raise ExpressionError(node.at, f"{who} a condition, not {_TYPE_NAMES[value_type]}")
        return "condition"

    def _compare(self, node: Compare) -> ValueType:
        sides = [node.first, *(side for _, side in node.rest)]
        if "text" in (types := [self.value_type(side) for side in sides]):
            self._compare_texts(node, sides, types)
        else:
            for side in sides:
                self.number(side)
            _refuse_constants(node)
        return "condition"

    def _compare_texts(self, node: Compare, sides: list[Node], types: list[ValueType]) -> None:
        for side, value_type in zip(sides, types, strict=True):
            if isinstance(side, MetricRef):
                self._use(side, state=True)
            elif value_type != "text":
                raise ExpressionError(side.at, f"a text cannot be compared with {_TYPE_NAMES[value_type]}")
        for op, _ in node.rest:
            if op not in ("==", "!="):
                raise ExpressionError(node.at, f"texts have no order; compare them with == or !=, not {op}")
        if not any(isinstance(side, (MetricRef, TagRef)) for side in sides):
            raise ExpressionError(node.at, "both sides are constants; one must be a metric or a tag")

    def _one_of(self, node: OneOf) -> ValueType:
        texts = [isinstance(option, Text) for option in node.options]
        if all(texts):
            self._text(node.operand)
        elif not any(texts):
            self.number(node.operand)
        else:
            raise ExpressionError(
                node.options[texts.index(not texts[0])].at, "the choices mix numbers and texts"
            )
        return "condition"

    def _text(self, node: Node) -> None:
        value_type = self.value_type(node)
        if isinstance(node, MetricRef):
            self._use(node, state=True)
        elif not isinstance(node, TagRef):
            raise ExpressionError(
                node.at, f"expected a metric or a tag before 'in', found {_TYPE_NAMES[value_type]}"
            )

    def _call(self, node: Call) -> ValueType:
        signature = FUNCTIONS[node.name]
        if is_aggregate(node):
            return self._aggregate(node)
        if node.name == "no_data":
            return self._silence(node, signature.usage)
        if signature.ranged:
            return self._ranged(node, signature.usage)
        for arg in node.args:
            self.number(arg)
        return "number"

    def _aggregate(self, node: Call) -> ValueType:
        if self.within is not None:
            told = f"{node.name}(…) within {self.within.name}(…): an aggregate takes what each device has"
            raise ExpressionError(node.at, told)
        self.within = node
        (argument,) = node.args
        value_type = self.value_type(argument)
        if isinstance(argument, MetricRef):
            self._use(argument, state=False)
            value_type = "number"
        self.within = None
        self._check_argument(node, value_type)
        self.aggregates.append(node)
        return "number"

    def _check_argument(self, node: Call, value_type: ValueType) -> None:
        at, name = node.args[0].at, node.name
        if value_type == "condition" and name not in OF_CONDITIONS:
            told = f"{name} takes a number, not a condition; write share(…) or count(…) of a condition"
            raise ExpressionError(at, told)
        if value_type == "number" and name == "share":
            raise ExpressionError(at, f"share takes a condition; write {FUNCTIONS[name].usage}")
        if value_type not in ("number", "condition"):
            raise ExpressionError(at, f"{name} takes a number, not {_TYPE_NAMES[value_type]}")

    def _silence(self, node: Call, usage: str) -> ValueType:
        metric, span = node.args
        if self.within is None:
            raise ExpressionError(
                node.at, f"no_data is a condition within share(…) or count(…) of a group; {MISSING}"
            )
        if not isinstance(metric, MetricRef):
            raise ExpressionError(metric.at, f"no_data takes a metric; write {usage}")
        if not isinstance(span, Duration):
            raise ExpressionError(span.at, f"expected a duration; write {usage}")
        self.silences.append(metric.name)
        return "condition"

    def _ranged(self, node: Call, usage: str) -> ValueType:
        metric, span = self._range_of(node, usage)
        if not isinstance(metric, MetricRef):
            raise ExpressionError(
                metric.at,
                f"{node.name} takes a metric, not an expression; name the expression with a 'record:' rule first",
            )
        if not isinstance(span, Duration):
            raise ExpressionError(span.at, f"expected a duration; write {usage}")
        self._use(metric, state=False)
        self.ranges.append(Range(metric.name, span.ms, FAMILY[node.name]))
        return "number"

    def _range_of(self, node: Call, usage: str) -> tuple[Node, Node]:
        """The arguments of a function over a range without its parameter, which is checked."""
        match node:
            case Call("quantile_over_time", (part, metric, span)):
                if not (isinstance(part, Number) and 0 <= part.value <= 1):
                    raise ExpressionError(part.at, f"expected a number from 0 to 1; write {usage}")
                return metric, span
            case Call("predict_linear", (metric, span, ahead)):
                if not isinstance(ahead, Duration):
                    raise ExpressionError(ahead.at, f"expected a duration, how far ahead; write {usage}")
                return metric, span
        metric, span = node.args
        return metric, span


def is_aggregate(node: Node) -> bool:
    """Whether a node is over the devices of a group: `min(x)` is, `min(x, y)` is not."""
    return isinstance(node, Call) and node.name in AGGREGATES and len(node.args) == 1


def is_condition(node: Node) -> bool:
    """Whether a checked tree is true or false, and no number."""
    match node:
        case Binary(op) | Unary(op):
            return op in ("and", "or", "not")
        case Call(name):
            return name == "no_data"
    return isinstance(node, Compare | OneOf)


def _refuse_constants(node: Compare) -> None:
    """ExpressionError if two neighbours are both numbers, as in `5 > x > 3 > 9`: their comparison never changes."""
    sides = [node.first, *(side for _, side in node.rest)]
    for left, (op, right) in zip(sides, node.rest, strict=False):
        if isinstance(left, Number) and isinstance(right, Number):
            told = f"'{left.value:g} {op} {right.value:g}' never changes"
            raise ExpressionError(right.at, f"{told}: both sides are constants; one must be a metric")
