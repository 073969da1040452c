"""Percentiles of a few delays."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["quantile"]


def quantile(values: Iterable[int], share: float) -> int | None:
    """Return the smallest value that at least this share of the values does not exceed; None without values."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]
