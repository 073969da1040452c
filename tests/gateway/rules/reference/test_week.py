"""The reference's times of the week at the hours at which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.gateway.rules.reference.week import EPOCH, MS, ends_after, holds, span_at


def at(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // MS


@pytest.mark.parametrize(
    ("zone", "times", "begin", "end"),
    [
        ("Europe/Berlin", "sun 02:30-03:30", "2026-03-29T01:00", "2026-03-29T01:30"),
        ("Europe/Berlin", "sat 23:00-02:30", "2026-03-28T22:00", "2026-03-29T01:00"),
        ("Europe/Berlin", "02:30-02:45", "2026-10-25T00:30", "2026-10-25T01:45"),
        ("America/New_York", "sun 01:30-03:30", "2026-03-08T06:30", "2026-03-08T07:30"),
        ("America/New_York", "fri-mon 01:15-01:30", "2026-11-01T05:15", "2026-11-01T06:30"),
        ("UTC", "sun 02:30-03:30", "2026-03-29T02:30", "2026-03-29T03:30"),
    ],
)
def test_a_span_around_a_change_of_clocks(zone: str, times: str, begin: str, end: str) -> None:
    assert span_at((times,), zone, at(begin)) == (at(begin), at(end))
    assert ends_after((times,), zone, at(begin)) == at(end)
    assert not holds((times,), zone, at(begin) - 1)
    assert not holds((times,), zone, at(end))


def test_spans_that_touch_are_one_and_no_times_are_all() -> None:
    noon = at("2026-05-05T12:00")
    assert span_at(("11:00-12:00", "tue 12:00-13:00"), "UTC", noon) == (noon - 3_600_000, noon + 3_600_000)
    assert holds((), "UTC", noon)
