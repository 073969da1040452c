"""Counts in a sentence."""

from __future__ import annotations

__all__ = ["counted"]


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return `1 window`, `1,000 windows`; `many` is the plural of a word that does not take a plain s."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
