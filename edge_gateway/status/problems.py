"""What the gateway knows about itself, as data: counters that only grow, and problems that come and go.

Prometheus text, the retained status message and the CLI's tables are renderings of the same report.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fleet_wire.printable import printable, printable_lines

log = logging.getLogger(__name__)

MOST_PROBLEMS = 50
MOST_NAMED = 5
"""Devices that one problem names; of the others it says how many they are."""


def named(names: Sequence[str]) -> str:
    """Return the first few names in a row, and how many more there are."""
    more = len(names) - MOST_NAMED
    return ", ".join(map(printable, names[:MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


@dataclass(slots=True)
class Counters:
    """Named counts of what happened since the gateway started."""

    _counts: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, count: int = 1) -> None:
        if count:
            self._counts[name] += count

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    def as_dict(self) -> dict[str, int]:
        return dict(sorted(self._counts.items()))


class Gravity(StrEnum):
    """What a problem means for whoever watches the gateway."""

    FAILURE = "failure"
    """The gateway does not do all that it is there for: /healthz answers 503."""
    WARNING = "warning"
    """A device, a rule or a bound needs a hand; the gateway does its work, /healthz answers 200 and lists it."""
    NOTICE = "notice"
    """Somebody else's trouble, such as another client's queue at the broker: shown, no alert, never in /healthz."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something an operator should know, as long as it lasts. `since` in wall milliseconds."""

    code: str
    text: str
    since: int
    gravity: Gravity = Gravity.FAILURE


@dataclass(slots=True)
class Problems:
    """What is wrong right now, by code. Told once when it begins, and once when it is over."""

    clock: Callable[[], int]
    changed: Callable[[], None] = lambda: None
    _open: dict[str, Problem] = field(default_factory=dict)

    def raise_(self, code: str, text: str, gravity: Gravity = Gravity.FAILURE) -> None:
        """Open a problem, or bring its text and gravity up to date. A text of several lines is logged line by line."""
        text = printable_lines(text)
        before = self._open.get(code)
        if before is None and len(self._open) >= MOST_PROBLEMS:
            return
        if before is None or before.text != text:
            for line in text.split("\n"):
                log.warning("%s: %s", code, line)
        self._open[code] = Problem(code, text, before.since if before else self.clock(), gravity)
        if before is None or before.gravity is not gravity:
            self.changed()

    def tell(self, code: str, text: str, gravity: Gravity = Gravity.FAILURE) -> None:
        """A problem as long as there is a text."""
        if text:
            self.raise_(code, text, gravity)
        else:
            self.clear(code)

    def clear(self, code: str) -> None:
        """The problem is over; nothing happens where there was none."""
        if self._open.pop(code, None) is not None:
            log.info("%s: over", code)
            self.changed()

    def __contains__(self, code: str) -> bool:
        return code in self._open

    def __iter__(self) -> Iterator[Problem]:
        return iter(tuple(self._open.values()))

    def as_list(self) -> list[dict[str, Any]]:
        return [
            {"code": one.code, "text": one.text, "since": one.since, "gravity": one.gravity.value}
            for one in self._open.values()
        ]


def prometheus(report: Mapping[str, Any]) -> str:
    """The numbers of a report in Prometheus' text format, version 0.0.4: nested names are joined by `_`."""
    lines = []
    for name, value in _numbers("edge_gateway", report):
        kind = "counter" if name.endswith("_total") else "gauge"
        lines += [f"# TYPE {name} {kind}", f"{name} {value!r}"]
    return "\n".join(lines) + "\n"


COUNTED = ("messages", "values", "counters")


def _numbers(prefix: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            name = f"{prefix}_{key}".replace("-", "_").replace(".", "_")
            suffix = (
                "_total" if prefix.rpartition("_")[2] in COUNTED and not isinstance(inner, Mapping) else ""
            )
            yield from _numbers(name + suffix, inner)
    elif isinstance(value, (int, float)):
        yield prefix, float(value) if isinstance(value, float) else int(value)
