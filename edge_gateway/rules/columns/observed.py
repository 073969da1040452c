"""What rules of groups read of single devices: the arguments of their aggregates, compiled like rules of devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edge_gateway.rules.columns.compile import compile_tree
from edge_gateway.rules.language.analysis import analyse
from edge_gateway.rules.language.printing import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_gateway.rules.columns.compile import Operation, Symbols
    from edge_gateway.rules.language.expression import Call


class Observation(NamedTuple):
    """The argument of an aggregate. `rings`: the range histories it reads; `awaited`: metrics whose silence counts.

    A share counts the devices that are expected to send all of these.
    """

    operation: Operation
    rings: tuple[int, ...]
    awaited: tuple[str, ...]
    tags: tuple[str, ...]


def observe(aggregates: Sequence[Call], symbols: Symbols) -> tuple[Observation, ...]:
    """Compile the arguments of aggregates; number what they read."""
    return tuple(_observation(each, symbols) for each in aggregates)


def _observation(aggregate: Call, symbols: Symbols) -> Observation:
    analysis = analyse(text_of(aggregate))
    clock = tuple(symbols.input(name, is_text=False) for name in analysis.numbers)
    clock += tuple(symbols.input(name, is_text=True) for name in analysis.states)
    for each in analysis.ranges:
        symbols.clocks.setdefault(symbols.ring(each), {})[clock] = None
    named = analysis.metrics if aggregate.name == "share" else ()
    awaited = tuple(dict.fromkeys((*named, *analysis.silences)))
    for name in awaited:
        symbols.input(name, is_text=False), symbols.input(name, is_text=True)
    rings = tuple(symbols.ring(each) for each in analysis.ranges)
    return Observation(compile_tree(aggregate.args[0], symbols), rings, awaited, analysis.tags)
