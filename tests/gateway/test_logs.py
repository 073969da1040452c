"""The log does not flood: what is left out is counted and told."""

from __future__ import annotations

import logging

from edge_gateway.logs import MOST_AT_ONCE, PER_SECOND, Flood


def record(text: str, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("gateway", level, __file__, 1, "%s", (text,), None)


def test_a_burst_passes_and_a_flood_does_not() -> None:
    now = [0.0]
    flood = Flood(clock=lambda: now[0])
    passed = [flood(record(f"{n}")) for n in range(MOST_AT_ONCE + 7)]
    assert passed == [True] * MOST_AT_ONCE + [False] * 7
    assert flood.left_out == 7
    now[0] += 1.0 / PER_SECOND
    after = record("after")
    assert flood(after)
    assert after.getMessage() == "after (7 lines before were left out)"
    assert not flood(record("again"))
    assert flood.left_out == 8


def test_errors_are_always_written() -> None:
    flood = Flood(clock=lambda: 0.0)
    for n in range(MOST_AT_ONCE):
        flood(record(f"{n}"))
    assert not flood(record("warned"))
    failed = record("100 % failed", logging.ERROR)
    assert flood(failed)
    assert failed.getMessage() == "100 % failed (1 lines before were left out)"
