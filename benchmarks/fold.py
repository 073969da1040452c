"""What the fold costs without broker and disk, in one process: decoding and dedup, windows, rules, and all of it.

The measuring module names each figure with its unit; `python -m benchmarks.NAME_cost` runs one alone.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks import fold_cost, fold_front_cost, rules_cost, windows_cost
from benchmarks.measure import Comparison, Measured, Quantity

COSTS: dict[str, Callable[[], Mapping[str, Any]]] = {
    "fold": fold_cost.measure,
    "front": fold_front_cost.measure,
    "windows": windows_cost.measure,
    "rules": rules_cost.measure,
}
REFERENCE = "plain Python"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", choices=COSTS, default=list(COSTS), help="some of the parts")


def run(arguments: argparse.Namespace) -> Iterator[Comparison]:
    for name in arguments.only:
        rounds = [COSTS[name]() for _ in range(arguments.rounds)]
        grouped = all(isinstance(told, Mapping) for told in rounds[0].values())
        for group in rounds[0] if grouped else ():
            yield by_figure(group, [dict(figures("", one[group])) for one in rounds])
        if not grouped:
            yield by_figure(name, [dict(figures("", one)) for one in rounds])


def figures(prefix: str, told: Mapping[Any, Any]) -> Iterator[tuple[str, float]]:
    """Flatten nested mappings of numbers; names are joined."""
    for key, value in told.items():
        name = f"{prefix}{key}".strip()
        if isinstance(value, Mapping):
            yield from figures(f"{name} ", value)
        else:
            yield name, float(value)


def by_figure(title: str, rounds: list[dict[str, float]]) -> Comparison:
    """Return each figure as a row, with the module's reference if it has one."""
    rows: dict[str, list[Measured]] = {name: [{"value": one[name]} for one in rounds] for name in rounds[0]}
    reference = REFERENCE if REFERENCE in rows else None
    return Comparison(title, reference, {"value": Quantity("as named", 2)}, rows)
