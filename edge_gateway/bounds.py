"""How near the fold is to its bounds, and whose values are bad, as problems an operator can act on.

A bound is a warning from four fifths on, and a failure when it is full. A device at its share, or most of whose values
are bad, is a warning by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edge_gateway.commands import MOST_WAITING
from edge_gateway.fleet.accounting import metric_text
from edge_gateway.status import Gravity, Problems
from fleet_wire.printable import printable

if TYPE_CHECKING:
    from edge_gateway.pipeline import Pipeline

MOST_NAMED: Final = 5
HOLD: Final = 300.0
"""Seconds a device stays named after it was last found at its share: what it no longer uses is freed every minute, and
a problem that comes and goes with it would be an alert a minute."""


class Bound(NamedTuple):
    """Something there can be `most` of; `full` says what is lost beyond, `users` who has most, the most first."""

    code: str
    name: str
    held: int
    most: int
    full: str
    users: list[str]


def bounds(pipeline: Pipeline) -> Iterator[Bound]:
    """Every bound of the fold that devices can fill together."""
    registry, commands = pipeline.registry, pipeline.commands
    limits, table, strings = registry.limits, registry.table, registry.strings
    name = registry.device_name
    yield Bound(
        "bound_devices",
        "limits.devices",
        registry.alive,
        limits.devices,
        "messages of further devices go to quarantine",
        _crowded_sites(pipeline),
    )
    held = Counter({name[one]: table.held_by(one) for one in _most(table.held_by_device)})
    yield Bound(
        "bound_series",
        "limits.series",
        table.counted,
        limits.series,
        "values of further metrics are lost, as too_many_series",
        _named(held),
    )
    yield Bound(
        "bound_strings",
        "limits.strings",
        strings.of_devices,
        limits.strings,
        "values that are new texts are lost, as too_many_texts",
        _named(Counter({name[one]: count for one, count in strings.held.most_common(MOST_NAMED)})),
    )
    yield Bound(
        "bound_commands",
        "commands that wait",
        len(commands),
        MOST_WAITING,
        "further commands fail at once",
        _named(commands.waiting()),
    )


def told(bound: Bound) -> tuple[str, Gravity]:
    """What to say of a bound; nothing below four fifths."""
    users = f"; most are of {', '.join(bound.users[:MOST_NAMED])}" if bound.users else ""
    if bound.held >= bound.most:
        return f"{bound.name} is full ({bound.most:,}): {bound.full}{users}", Gravity.FAILURE
    if 5 * bound.held >= 4 * bound.most:
        text = (
            f"more than four fifths of {bound.name} ({bound.most:,}) are taken; beyond it {bound.full}{users}"
        )
        return text, Gravity.WARNING
    return "", Gravity.WARNING


@dataclass(slots=True)
class BoundsWatch:
    """Raises and clears the problems; `clock` in seconds."""

    problems: Problems
    clock: Callable[[], float]
    _at_share: dict[str, float] = field(default_factory=dict)
    """When a device was last found at a share of its own, by what is said of it."""
    _bad: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Since when what is said of a device with bad values; its newest bad value may be another every time."""

    def look(self, pipeline: Pipeline) -> None:
        """Say what is to be said now."""
        for bound in bounds(pipeline):
            self._tell(bound.code, *told(bound))
        now = self.clock()
        self._at_share |= dict.fromkeys(at_share(pipeline), now)
        self._at_share = {text: at for text, at in self._at_share.items() if now - at < HOLD}
        self._tell("device_shares", _listed(sorted(self._at_share)), Gravity.WARNING)
        found = mostly_bad(pipeline)
        kept = {name: said for name, said in self._bad.items() if now - said[0] < HOLD}
        self._bad = {name: kept.get(name, (now, text)) for name, text in found.items()}
        self._tell("bad_values", _listed([text for _, text in self._bad.values()]), Gravity.WARNING)

    def _tell(self, code: str, text: str, gravity: Gravity) -> None:
        if text:
            self.problems.raise_(code, text, gravity)
        else:
            self.problems.clear(code)


def at_share(pipeline: Pipeline) -> list[str]:
    """What is said of each device that has used up a share of its own."""
    registry = pipeline.registry
    table, strings = registry.table, registry.strings
    series = [one for one in table.crowded_devices().tolist() if table.held_by(one) >= table.share]
    texts = [one for one, held in strings.held.items() if held >= strings.share]
    name = registry.device_name
    return [
        *(
            f"{printable(name[one])} has all its {table.share:,} series (limits.device_series)"
            for one in series
        ),
        *(
            f"{printable(name[one])} has all its {strings.share:,} texts (limits.device_strings)"
            for one in texts
        ),
    ]


def mostly_bad(pipeline: Pipeline) -> dict[str, str]:
    """What is said of each device more than half of whose values are bad: the metric and reason of the newest one."""
    registry, said = pipeline.registry, {}
    for one in pipeline.admission.doubts.found():
        name = registry.device_name[one.device]
        why = f"{metric_text(one.metric, registry.metric_names)} ({one.reason.text})"
        said[name] = f"more than half of the values of {printable(name)} are bad: {why}"
    return said


def _listed(texts: list[str]) -> str:
    more = len(texts) - MOST_NAMED
    return "; ".join([*texts[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])])


def _named(held: Counter[str]) -> list[str]:
    return [printable(name) for name, count in held.most_common(MOST_NAMED) if count]


def _most(held: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Iterable[int]:
    some = np.argsort(-held, kind="stable")[:MOST_NAMED]
    users: list[int] = some[held[some] > 0].tolist()
    return users


def _crowded_sites(pipeline: Pipeline) -> list[str]:
    """The sites with most devices, once there are too many of them."""
    registry = pipeline.registry
    if 5 * registry.alive < 4 * registry.limits.devices:
        return []
    live = [one for one in range(registry.devices) if registry.is_live(one)]
    sites = Counter(registry.device_site[one] for one in live)
    return [f"site {name}" for name in _named(sites)]
