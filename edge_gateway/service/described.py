"""What the points do not say of themselves: the unit of each metric, and the limits that rules put on it at each site.

Written for those who draw charts, when it changes and hourly, so that the newest points are never far back.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_gateway.rules.language.ruleset import levels_of
from edge_gateway.store.line_protocol import Limit, render_limit, render_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from edge_gateway.fold.pipeline import Pipeline
    from edge_gateway.rules.alerts.evaluator import Evaluator
    from edge_gateway.rules.language.ruleset import Override, Rule

AGAIN_AFTER: Final = 3_600_000
"""Milliseconds after which an unchanged description is written again."""
LOOK_AFTER: Final = 60_000
"""Milliseconds between two looks."""
_OVER_TIME: Final = re.compile(r"(?:avg|last|max|min)_over_time \( (\w+) , \w+ \)")

Description = tuple[list[tuple[str, str]], list[Limit]]
"""(metric, unit) of each metric that has one, and the limits."""


@dataclass(slots=True)
class Described:
    """What was written last, and when; `_looked`: when it was compared last (monotonic ms)."""

    _last: Description = ([], [])
    _at: int = -AGAIN_AFTER
    _looked: int = -LOOK_AFTER

    def due(self, pipeline: Pipeline, now: int, wall: int) -> bytes:
        """Return the lines to write at monotonic and wall ms; none if what was written is still so."""
        if now - self._looked < LOOK_AFTER:
            return b""
        self._looked = now
        found = describe(pipeline)
        if found == self._last and now - self._at < AGAIN_AFTER:
            return b""
        self._last, self._at = found, now
        units, limits = found
        return b"".join(
            [render_unit(*unit, wall) for unit in units] + [render_limit(limit, wall) for limit in limits]
        )


def describe(pipeline: Pipeline) -> Description:
    """Return the units that the fleet's births give, and the limits of the rules in force."""
    births = [facts.units for facts in pipeline.registry.births.facts.values()]
    return sorted(common_units(births).items()), sorted(set(site_limits(pipeline.rules)))


def common_units(births: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the unit of each metric that most births give. Equal mappings are often one object, and read once."""
    births = list(births)
    sharing, shared = Counter(map(id, births)), {id(units): units for units in births}
    counted: Counter[tuple[str, str]] = Counter()
    for number, units in shared.items():
        for pair in units.items():
            counted[pair] += sharing[number]
    return dict(pair for pair, _ in sorted(counted.items(), key=lambda item: (item[1], item[0])))


def site_limits(evaluator: Evaluator) -> Iterator[Limit]:
    """Yield the limits that the devices of each site have, overrides included."""
    state, registry = evaluator.state, evaluator.state.registry
    known = min(len(registry.device_site), len(state.cells.class_of))
    classes = state.cells.class_of[:known]
    names, site = np.unique(np.array(registry.device_site[:known], str), return_inverse=True)
    variants = state.cells.classes.variants
    for pair in np.unique(site * len(variants) + classes).tolist():
        for number, override in variants[pair % len(variants)]:
            rule = state.rules[number]
            changes = rule.overrides[override] if override >= 0 else None
            yield from limits_of(rule, changes, str(names[pair // len(variants)]))


def limits_of(rule: Rule, override: Override | None, site: str) -> Iterator[Limit]:
    """Yield the limits of a rule that are in the unit of its metric: those of the metric itself or of its range."""
    if rule.expr is None or rule.is_condition:
        return
    over = _OVER_TIME.fullmatch(rule.expr)
    if rule.expr != rule.metric and (over is None or over[1] != rule.metric):
        return
    for level in levels_of(rule, override):
        if level.limit is not None:
            side = "above" if level.above else "below"
            yield Limit(rule.name, level.level, rule.metric, side, site, level.limit, level.clear)
