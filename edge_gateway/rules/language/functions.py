"""The functions of expressions, named as in Prometheus, and the names that are reserved for later."""

from __future__ import annotations

from typing import Final, NamedTuple


class Signature(NamedTuple):
    """`ranged`: takes a metric and a duration, otherwise `least` to `most` numbers. `usage`: an example call."""

    ranged: bool
    least: int
    most: int
    usage: str


def _ranged(name: str) -> Signature:
    return Signature(ranged=True, least=2, most=2, usage=f"{name}(metric, 5m)")


FUNCTIONS: Final[dict[str, Signature]] = {
    **{
        name: _ranged(name)
        for name in (
            "avg_over_time",
            "min_over_time",
            "max_over_time",
            "sum_over_time",
            "count_over_time",
            "last_over_time",
            "delta",
            "rate",
            "deriv",
            "stddev_over_time",
            "changes",
        )
    },
    "quantile_over_time": Signature(
        ranged=True, least=3, most=3, usage="quantile_over_time(0.95, metric, 5m)"
    ),
    "predict_linear": Signature(ranged=True, least=3, most=3, usage="predict_linear(metric, 1h, 30m)"),
    "abs": Signature(ranged=False, least=1, most=1, usage="abs(x)"),
    "min": Signature(ranged=False, least=1, most=8, usage="min(x, y)"),
    "max": Signature(ranged=False, least=1, most=8, usage="max(x, y)"),
    "clamp": Signature(ranged=False, least=3, most=3, usage="clamp(x, low, high)"),
    **{
        name: Signature(ranged=False, least=1, most=1, usage=f"{name}(x)") for name in ("avg", "sum", "count")
    },
    "share": Signature(ranged=False, least=1, most=1, usage="share(x > 5)"),
    "no_data": Signature(ranged=True, least=2, most=2, usage="no_data(metric, 1m)"),
}

AGGREGATES: Final = frozenset(("avg", "min", "max", "sum", "count", "share"))
"""Functions that with one argument are over the devices of a group."""
OF_CONDITIONS: Final = frozenset(("count", "share"))
"""Aggregates that take a condition."""

FAMILY: Final = {
    "count_over_time": "samples",
    "last_over_time": "samples",
    "delta": "samples",
    "deriv": "samples",
    "stddev_over_time": "samples",
    "quantile_over_time": "samples",
    "predict_linear": "samples",
    "avg_over_time": "sums",
    "sum_over_time": "sums",
    "rate": "rises",
    "changes": "changes",
    "min_over_time": "extremes",
    "max_over_time": "extremes",
}
"""What a range history must store for each function. Functions of one family share a history."""


def with_parameter(name: str, parameter: float) -> str:
    """The name of a function over a range together with its number, as `parameter_of` reads it."""
    return f"{name}:{parameter!r}"


def parameter_of(function: str) -> tuple[str, float]:
    """The name of a function over a range, and its number; 0 if it has none."""
    name, _, parameter = function.partition(":")
    return name, float(parameter or 0)


UNSUPPORTED: Final = frozenset(
    (
        "zscore",
        "ewma",
        "ewma_dev",
    )
)
"""Functions of the language that this version does not have; errors say so."""

KEYWORDS: Final = frozenset(("and", "or", "not", "in", "true", "false", "tag"))

RESERVED: Final = KEYWORDS | FUNCTIONS.keys() | UNSUPPORTED
"""Names that no metric can have."""
