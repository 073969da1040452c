"""The expressions that trials draw from, each written out by hand as the rules' pages define it. None is unknown."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Value = float | str
Known = Callable[[str], Value | None]
"""The last value of a metric, None if it is unknown."""
Samples = Callable[[str, int, str], Sequence[tuple[int, float]]]
"""The (time, value) samples of a metric in the last so many ms, as functions of a family have them."""
Truth = bool | None
FAMILIES = {
    "avg_over_time": "sums",
    "sum_over_time": "sums",
    "max_over_time": "extremes",
    "min_over_time": "extremes",
    "count_over_time": "samples",
    "last_over_time": "samples",
    "delta": "samples",
}


@dataclass(frozen=True)
class Expression:
    """`text` as in a rule file; the metrics it reads, numbers first; `of`: its value.

    Of a text that names records these are the metrics of their formulas.
    """

    text: str
    metrics: tuple[str, ...]
    of: Callable[[Known, Samples], float | Truth]

    @property
    def ranges(self) -> tuple[tuple[str, int, str], ...]:
        """(metric, ms, family) of each range in the text, and in the formulas of the records that it names."""
        text = re.sub(r"\bt\b(?!,)", AVERAGE, self.text)
        found = re.findall(r"(\w+)\((\w+), (\d+)s\)", text)
        return tuple((name, int(s) * 1000, FAMILIES[function]) for function, name, s in found)


def number(known: Known, metric: str) -> float | None:
    value = known(metric)
    return None if value is None else float(value)


def _binary(known: Known, do: Callable[[float, float], float]) -> float | None:
    a, b = number(known, "a"), number(known, "b")
    if a is None or b is None:
        return None
    try:
        return do(a, b)
    except ZeroDivisionError:
        return None


def compared(value: Value | None, holds: Callable[[Value], bool]) -> Truth:
    return None if value is None else holds(value)


def both(*truths: Truth) -> Truth:
    if False in truths:
        return False
    return None if None in truths else True


def opposite(truth: Truth) -> Truth:
    return None if truth is None else not truth


def either(*truths: Truth) -> Truth:
    return opposite(both(*map(opposite, truths)))


def _mean(samples: Sequence[tuple[int, float]]) -> float | None:
    return math.fsum(value for _, value in samples) / len(samples) if samples else None


def _spread(samples: Samples) -> float | None:
    a, b = samples("a", 30_000, "extremes"), samples("b", 20_000, "extremes")
    return max(v for _, v in a) - min(v for _, v in b) if a and b else None


def _last(samples: Sequence[tuple[int, float]]) -> float | None:
    return samples[-1][1] if samples else None


def _delta(samples: Sequence[tuple[int, float]]) -> float | None:
    return samples[-1][1] - samples[0][1] if len(samples) > 1 and samples[-1][0] > samples[0][0] else None


AVERAGE = "avg_over_time(a, 20s)"
"""The formula of the record `t`."""


def _sum(known: Known) -> float | None:
    """The formula of the record `r`."""
    return _binary(known, lambda a, b: a + b)


def _difference(known: Known) -> float | None:
    """The formula of the record `s`, which names `r`."""
    return _doubled(_sum(known), number(known, "c"))


def _doubled(r: float | None, c: float | None) -> float | None:
    return None if r is None or c is None else r * 2 - c


NUMBERS = (
    Expression("a", ("a",), lambda known, _: number(known, "a")),
    Expression("b", ("b",), lambda known, _: number(known, "b")),
    Expression("c", ("c",), lambda known, _: number(known, "c")),
    Expression("a + b", ("a", "b"), lambda known, _: _binary(known, lambda a, b: a + b)),
    Expression("a / b", ("a", "b"), lambda known, _: _binary(known, lambda a, b: a / b)),
    Expression("avg_over_time(a, 30s)", ("a",), lambda _, samples: _mean(samples("a", 30_000, "sums"))),
    Expression(
        "sum_over_time(c, 20s) / 4",
        ("c",),
        lambda _, samples: (
            math.fsum(v for _, v in samples("c", 20_000, "sums")) / 4
            if samples("c", 20_000, "sums")
            else None
        ),
    ),
    Expression(
        "max_over_time(a, 30s) - min_over_time(b, 20s)", ("a", "b"), lambda _, samples: _spread(samples)
    ),
    Expression("delta(a, 30s)", ("a",), lambda _, samples: _delta(samples("a", 30_000, "samples"))),
    Expression(
        "count_over_time(c, 15s)",
        ("c",),
        lambda _, samples: float(len(samples("c", 15_000, "samples"))) or None,
    ),
    Expression(
        "last_over_time(b, 10s) + a * 0",
        ("b", "a"),
        lambda known, samples: None if known("a") is None else _last(samples("b", 10_000, "samples")),
    ),
)
CONDITIONS = (
    Expression(
        "a > 5 and b < 3",
        ("a", "b"),
        lambda known, _: both(
            compared(known("a"), lambda a: a > 5),  # type: ignore[operator]
            compared(known("b"), lambda b: b < 3),  # type: ignore[operator]
        ),
    ),
    Expression(
        "a > 7 or not c <= 4",
        ("a", "c"),
        lambda known, _: either(
            compared(known("a"), lambda a: a > 7),  # type: ignore[operator]
            opposite(compared(known("c"), lambda c: c <= 4)),  # type: ignore[operator]
        ),
    ),
    Expression("2 < c < 8", ("c",), lambda known, _: compared(known("c"), lambda c: 2 < c < 8)),  # type: ignore[operator]
    Expression('door == "open"', ("door",), lambda known, _: compared(known("door"), lambda d: d == "open")),
    Expression(
        'door == "open" and a > 4',
        ("door", "a"),
        lambda known, _: both(
            compared(known("door"), lambda d: d == "open"),
            compared(known("a"), lambda a: a > 4),  # type: ignore[operator]
        ),
    ),
    Expression(
        'pump in ("true", "auto") or c > 6',
        ("pump", "c"),
        lambda known, _: either(
            compared(known("pump"), lambda p: p in {"true", "auto"}),
            compared(known("c"), lambda c: c > 6),  # type: ignore[operator]
        ),
    ),
)
RECORDS = (
    Expression("a + b", ("a", "b"), lambda known, _: _sum(known)),
    Expression(
        "r * 2 - c",
        ("r", "c"),
        lambda known, _: _doubled(number(known, "r"), number(known, "c")),
    ),
    Expression(AVERAGE, ("a",), lambda _, samples: _mean(samples("a", 20_000, "sums"))),
)
"""The formulas of the records `r`, `s` and `t`, each after those it names."""
RECORD_NAMES = ("r", "s", "t")
OF_RECORDS = (
    Expression("r", ("a", "b"), lambda known, _: _sum(known)),
    Expression(
        "s / 2", ("a", "b", "c"), lambda known, _: None if (s := _difference(known)) is None else s / 2
    ),
    Expression("t", ("a",), lambda _, samples: _mean(samples("a", 20_000, "sums"))),
    Expression("avg_over_time(r, 30s)", ("r",), lambda _, samples: _mean(samples("r", 30_000, "sums"))),
    Expression("delta(s, 30s)", ("s",), lambda _, samples: _delta(samples("s", 30_000, "samples"))),
    Expression(
        "count_over_time(t, 15s)",
        ("t",),
        lambda _, samples: float(len(samples("t", 15_000, "samples"))) or None,
    ),
)
"""Numbers of rules that name records: formulas, except inside ranges."""
