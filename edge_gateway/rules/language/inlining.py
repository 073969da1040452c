"""Put the formulas of records in the place of their names, so that a rule means the same with either.

A range reads the history of the record itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edge_gateway.rules.language.analysis import analyse
from edge_gateway.rules.language.expression import Call, MetricRef, normal_text, parse, parts
from edge_gateway.rules.language.functions import FUNCTIONS
from edge_gateway.rules.language.tokens import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edge_gateway.rules.language.expression import Node
    from edge_gateway.rules.language.ruleset import Level, Rule


def with_formulas(alert: Rule, records: Mapping[str, Rule]) -> Rule:
    """An alert rule with the formulas of the records that it names.

    It stays as it is where a record is not of all its devices, or where the expression would become too long.
    """
    used = [records[name] for name, _ in alert.metrics if name in records] if records else []
    own = {record.name: record for record in used if all(match in alert.match for match in record.match)}
    if not own:
        return alert
    formulas = {name: record.expr or "" for name, record in own.items()}
    try:
        expr, levels = _replaced(alert.expr, formulas), tuple(_level(each, formulas) for each in alert.levels)
    except ExpressionError:
        return alert
    if (expr, levels) == (alert.expr, alert.levels):
        return alert
    shown, silence = alert.metric, alert.no_data
    if silence is not None and silence.metric == shown and shown in own:
        silence = replace(silence, metric=own[shown].metric)
    lookbacks = [alert.lookbacks, *(record.lookbacks for record in own.values())]
    return replace(
        alert,
        expr=expr,
        levels=levels,
        no_data=silence,
        shown=shown,
        value_expr=formulas.get(shown, ""),
        lookbacks={name: max(each.get(name, 0) for each in lookbacks) for each in lookbacks for name in each},
    )


def formulas_of(records: tuple[Rule, ...]) -> dict[str, Rule]:
    """Records by name, each with the formulas of those that it names; `records` in order of dependence."""
    found: dict[str, Rule] = {}
    for record in records:
        found[record.name] = with_formulas(record, found)
    return found


def _level(level: Level, formulas: Mapping[str, str]) -> Level:
    return replace(
        level, expr=_replaced(level.expr, formulas), clear_expr=_replaced(level.clear_expr, formulas)
    )


def _replaced(text: str | None, formulas: Mapping[str, str]) -> str | None:
    """An expression with formulas for names, in the normal form. ExpressionError: it is too long."""
    if text is None:
        return None
    pieces, end = [], 0
    for name in _names(parse(text)):
        if name.name in formulas:
            pieces += [text[end : name.at], f"({formulas[name.name]})"]
            end = name.at + len(name.name)
    whole = normal_text("".join([*pieces, text[end:]]))
    analyse(whole)
    return whole


def _names(node: Node) -> Iterator[MetricRef]:
    """The metrics whose last values an expression reads, in the order of the text."""
    if isinstance(node, MetricRef):
        yield node
    elif not (isinstance(node, Call) and FUNCTIONS[node.name].ranged):
        for part in parts(node):
            yield from _names(part)
