"""The expressions that trials draw from, each written out by hand as the rules' pages define it. None is unknown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Value = float | str
Known = Callable[[str], Value | None]
"""The last value of a metric, None if it is unknown."""
Samples = Callable[[str, int], Sequence[tuple[int, float]]]
"""The (time, value) samples of a metric in the last so many ms."""
Truth = bool | None


@dataclass(frozen=True)
class Expression:
    """`text` as in a rule file; the metrics it reads, numbers first; `of`: its value."""

    text: str
    metrics: tuple[str, ...]
    of: Callable[[Known, Samples], float | Truth]


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
    a, b = samples("a", 30_000), samples("b", 20_000)
    return max(v for _, v in a) - min(v for _, v in b) if a and b else None


def _delta(samples: Sequence[tuple[int, float]]) -> float | None:
    return samples[-1][1] - samples[0][1] if len(samples) > 1 and samples[-1][0] > samples[0][0] else None


NUMBERS = (
    Expression("a", ("a",), lambda known, _: number(known, "a")),
    Expression("b", ("b",), lambda known, _: number(known, "b")),
    Expression("c", ("c",), lambda known, _: number(known, "c")),
    Expression("a + b", ("a", "b"), lambda known, _: _binary(known, lambda a, b: a + b)),
    Expression("a / b", ("a", "b"), lambda known, _: _binary(known, lambda a, b: a / b)),
    Expression("avg_over_time(a, 30s)", ("a",), lambda _, samples: _mean(samples("a", 30_000))),
    Expression(
        "sum_over_time(c, 20s) / 4",
        ("c",),
        lambda _, samples: (
            math.fsum(v for _, v in samples("c", 20_000)) / 4 if samples("c", 20_000) else None
        ),
    ),
    Expression(
        "max_over_time(a, 30s) - min_over_time(b, 20s)", ("a", "b"), lambda _, samples: _spread(samples)
    ),
    Expression("delta(a, 30s)", ("a",), lambda _, samples: _delta(samples("a", 30_000))),
    Expression(
        "count_over_time(c, 15s)", ("c",), lambda _, samples: float(len(samples("c", 15_000))) or None
    ),
    Expression(
        "last_over_time(b, 10s) + a * 0",
        ("b", "a"),
        lambda known, samples: (
            samples("b", 10_000)[-1][1] if samples("b", 10_000) and known("a") is not None else None
        ),
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
