"""Spans of the week as moments, beside a look at the local clock minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from edge_gateway.rules.columns.calendar import Calendar
from edge_gateway.rules.files.zone_data import read_zones
from edge_gateway.rules.language.schedule import WeekSpan, parse_span

BERLIN = read_zones("Europe/Berlin", {}).zone("Europe/Berlin")
MINUTE = 60_000


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def shows(spans: list[WeekSpan], at: int) -> bool:
    """Whether a clock in Berlin shows a time within the spans."""
    local = datetime.fromtimestamp(at / 1000, ZoneInfo("Europe/Berlin"))
    minute = local.hour * 60 + local.minute
    return any(
        (local.weekday() in days and begin <= minute < end)
        or ((local.weekday() - 1) % 7 in days and minute < end - 1440)
        for days, begin, end in spans
    )


@pytest.mark.parametrize("first", ["2026-01-26T00:00", "2026-03-26T00:00", "2026-10-22T00:00"])
@pytest.mark.parametrize(
    "texts", [["mon-fri 22:00-06:00"], ["sat,sun", "mon 00:00-09:00"], ["03:00-04:30"], ["sun 02:00-03:00"]]
)
def test_a_moment_is_in_a_span_if_the_clock_says_so(texts: list[str], first: str) -> None:
    spans = list(map(parse_span, texts))
    at = moment(first) + MINUTE * 7 * np.arange(1500)
    begin, end = Calendar(spans, BERLIN).spans_at(at)
    inside = begin > 0
    assert inside.tolist() == [shows(spans, each) for each in at.tolist()]
    assert ((begin <= at) & (at < end))[inside].all()
    assert not end[~inside].any()


def test_spans_that_touch_are_one() -> None:
    spans = [parse_span("mon-fri"), parse_span("sat 00:00-12:00")]
    begin, end = Calendar(spans, BERLIN).spans_at(np.array([moment("2026-02-04T10:00")]))
    assert (begin[0], end[0]) == (moment("2026-02-01T23:00"), moment("2026-02-07T11:00"))


def test_a_span_goes_on_while_clocks_show_an_hour_twice() -> None:
    calendar = Calendar([parse_span("sun 02:30-03:00")], BERLIN)
    begin, end = calendar.spans_at(np.array([moment("2026-10-25T01:10")]))
    assert (begin[0], end[0]) == (moment("2026-10-25T00:30"), moment("2026-10-25T02:00"))


def test_a_span_that_clocks_skip_is_none() -> None:
    calendar = Calendar([parse_span("sun 02:00-03:00")], BERLIN)
    at = moment("2026-03-29T00:00") + MINUTE * np.arange(180)
    assert not calendar.spans_at(at)[0].any()


def test_any_moment_may_be_asked_for() -> None:
    calendar = Calendar([parse_span("mon-fri")], BERLIN)
    for week in range(300):
        begin, _ = calendar.spans_at(np.array([0, moment("2026-02-03T10:00") + week * 7 * 1440 * MINUTE]))
        assert begin[1] > 0
