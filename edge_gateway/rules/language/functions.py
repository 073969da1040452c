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
        )
    },
    "abs": Signature(ranged=False, least=1, most=1, usage="abs(x)"),
    "min": Signature(ranged=False, least=2, most=8, usage="min(x, y)"),
    "max": Signature(ranged=False, least=2, most=8, usage="max(x, y)"),
    "clamp": Signature(ranged=False, least=3, most=3, usage="clamp(x, low, high)"),
}

FAMILY: Final = {
    "count_over_time": "samples",
    "last_over_time": "samples",
    "delta": "samples",
    "deriv": "samples",
    "avg_over_time": "sums",
    "sum_over_time": "sums",
    "rate": "rises",
    "min_over_time": "extremes",
    "max_over_time": "extremes",
}
"""What a range history must store for each function. Functions of one family share a history."""

UNSUPPORTED: Final = frozenset(
    (
        "stddev_over_time",
        "quantile_over_time",
        "changes",
        "predict_linear",
        "zscore",
        "ewma",
        "ewma_dev",
        "no_data",
        "avg",
        "sum",
        "count",
        "share",
    )
)
"""Functions of the language that this version does not have; errors say so."""

KEYWORDS: Final = frozenset(("and", "or", "not", "in", "true", "false", "tag"))

RESERVED: Final = KEYWORDS | FUNCTIONS.keys() | UNSUPPORTED
"""Names that no metric can have."""
