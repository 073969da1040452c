"""Counts in a sentence."""

from __future__ import annotations

__all__ = ["counted", "span"]


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return `1 window`, `1,000 windows`; `many` is the plural of a word that does not take a plain s."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def span(first: int, last: int) -> str:
    """Return an inclusive range of numbers that are names, ungrouped: `106`, `106–1080`."""
    return str(first) if first == last else f"{first}–{last}"
