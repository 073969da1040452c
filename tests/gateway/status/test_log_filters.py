"""The log does not flood: what is left out is counted, and the next line says how much it was."""

from __future__ import annotations

import logging

from edge_gateway.status.log_filters import (
    AGAIN_AFTER,
    MOST_AT_ONCE,
    MOST_KEPT,
    PER_SECOND,
    RateLimit,
    RepeatFilter,
)


def record(text: str, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("gateway", level, __file__, 1, "%s", (text,), None)


def test_a_burst_passes_and_a_flood_does_not() -> None:
    now = [0.0]
    flood = RateLimit(clock=lambda: now[0])
    passed = [flood(record(f"{n}")) for n in range(MOST_AT_ONCE + 7)]
    assert passed == [True] * MOST_AT_ONCE + [False] * 7
    assert flood.left_out == 7
    now[0] += 1.0 / PER_SECOND
    after = record("after")
    assert flood(after)
    assert after.getMessage() == "after (7 lines before it left out)"
    assert not flood(record("again"))
    assert flood.left_out == 8


def test_errors_are_always_written() -> None:
    flood = RateLimit(clock=lambda: 0.0)
    for n in range(MOST_AT_ONCE):
        flood(record(f"{n}"))
    assert not flood(record("warned"))
    failed = record("100 % failed", logging.ERROR)
    assert flood(failed)
    assert failed.getMessage() == "100 % failed (1 line before it left out)"


def test_a_repeated_warning_is_one_line_and_then_a_count() -> None:
    now = [0.0]
    repeats = RepeatFilter(clock=lambda: now[0])
    assert [repeats(record("no disk")) for _ in range(1000)] == [True] + [False] * 999
    assert repeats(record("no network"))
    assert repeats(record("no disk", logging.ERROR))
    assert repeats.left_out == 999
    now[0] = AGAIN_AFTER
    again = record("no disk")
    assert repeats(again)
    assert again.getMessage() == "no disk (repeated 999 times since it was last logged)"
    now[0] *= 2
    last = record("no disk")
    assert repeats(last)
    assert last.getMessage() == "no disk"


def test_what_is_no_warning_is_always_written() -> None:
    repeats = RepeatFilter(clock=lambda: 0.0)
    assert all(repeats(record("subscribed", logging.INFO)) for _ in range(10))


def test_few_lines_are_remembered() -> None:
    repeats = RepeatFilter(clock=lambda: 0.0)
    for number in range(MOST_KEPT + 1):
        repeats(record(f"{number}"))
    assert repeats(record("0"))
    assert not repeats(record(f"{MOST_KEPT}"))
