"""Times of the week in a time zone, found by looking: which span of some times holds at a moment.

The day of a span is that of its begin. A local time that clocks skip is the moment of the jump; one that they show
twice begins a span the first time and ends it the second. Spans that touch are one.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MS = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Times = tuple[str, ...]


def span_at(times: Times, zone: str, moment: int) -> tuple[int, int] | None:
    """(begin, end) in ms of the span that holds at a moment; None if none does."""
    local = (EPOCH + moment * MS).astimezone(ZoneInfo(zone)).date()
    return next((span for span in _spans(times, zone, local) if span[0] <= moment < span[1]), None)


def holds(times: Times, zone: str, moment: int) -> bool:
    """Whether a moment is within the times; without any it always is."""
    return not times or span_at(times, zone, moment) is not None


def ends_after(times: Times, zone: str, moment: int) -> int:
    """The first moment from this one on that is outside the times."""
    span = span_at(times, zone, moment)
    return moment if span is None else span[1]


@cache
def _spans(times: Times, zone: str, near: date) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    spans = sorted(
        (_moment(day, begin, zone, last=False), _moment(day, end, zone, last=True))
        for text in times
        for days, begin, end in [_read(text)]
        for day in (near + timedelta(days=number) for number in range(-9, 10))
        if day.weekday() in days
    )
    for begin, end in spans:
        if begin >= end:
            continue
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((begin, end))
    return tuple(found)


def _read(text: str) -> tuple[set[int], int, int]:
    """The weekdays of a span, and its begin and end in minutes from midnight."""
    words = text.split()
    days, clock = set(range(7)), (0, 24 * 60)
    if not words[0][0].isdigit():
        days = {number for part in words.pop(0).split(",") for number in _weekdays(part)}
    if words:
        first, last = (int(each[:2]) * 60 + int(each[3:]) for each in words[0].split("-"))
        clock = first, last if last > first else last + 24 * 60
    return days, *clock


def _weekdays(part: str) -> list[int]:
    first, last = (DAYS.index(each) for each in (part.split("-") * 2)[:2])
    return [(first + number) % 7 for number in range((last - first) % 7 + 1)]


def _moment(day: date, minutes: int, zone: str, *, last: bool) -> int:
    local = datetime.combine(day, time()) + timedelta(minutes=minutes)
    first, second = (local.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1))
    if first.astimezone(ZoneInfo(zone)).replace(tzinfo=None) != local:
        return _jump(second, first, zone)
    return ((second if last else first) - EPOCH) // MS


def _jump(before: datetime, after: datetime, zone: str) -> int:
    """When clocks jump, between two moments."""
    offset = before.astimezone(ZoneInfo(zone)).utcoffset()
    while after - before > MS:
        middle = before + (after - before) // 2 // MS * MS
        if middle.astimezone(ZoneInfo(zone)).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return (after - EPOCH) // MS
