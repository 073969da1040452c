"""Times as verify and grade write them."""

from datetime import UTC, datetime

__all__ = ["at_second"]


def at_second(ms: int) -> str:
    """Write a time in ms since 1970 as `2026-01-01 00:00:05Z`."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}Z"
