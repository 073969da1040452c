"""Times of the week as people write them: `mon-fri 22:00-06:00`, `sat,sun`, `08:00-18:00`.

The day of a span is that on which it begins, so that `fri 22:00-06:00` ends on Saturday morning. A span ends before the
minute that it names; `24:00` is the end of a day.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from fleet_config.problems import quoted, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES: Final = 1_440
WEEK_MINUTES: Final = 7 * DAY_MINUTES
MINUTE_MS: Final = 60_000
PATTERN: Final = r"^[a-z,0-9: -]+$"
_TIMES: Final = re.compile(r"([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})")
_LONGEST: Final = 100


class WeekSpan(NamedTuple):
    """A part of each of some days (0: Monday): minutes from midnight, the end above 1440 on the day after."""

    days: tuple[int, ...]
    begin: int
    end: int


def parse_span(text: str) -> WeekSpan:
    """Return the span of a text; ValueError with a text for the user."""
    words = text.split()
    if not 1 <= len(words) <= 2 or len(text) > _LONGEST:  # noqa: PLR2004 - days and times
        raise ValueError(_not_times(text))
    days, times = (words[0], words[-1]) if len(words) == 2 else _alone(words[0])  # noqa: PLR2004
    begin, end = _times(times, text)
    return WeekSpan(tuple(sorted(set(_days(days, text)))), begin, end)


def holds_at(span: WeekSpan, minute: int) -> bool:
    """Whether a minute of the week, from Monday's midnight, is within a span."""
    return any(
        (minute - day * DAY_MINUTES - span.begin) % WEEK_MINUTES < span.end - span.begin for day in span.days
    )


def covers_the_week(spans: Iterable[WeekSpan]) -> bool:
    """Whether no minute of the week is left out."""
    covered = bytearray(WEEK_MINUTES)
    for days, begin, end in spans:
        for day in days:
            for minute in range(day * DAY_MINUTES + begin, day * DAY_MINUTES + end):
                covered[minute % WEEK_MINUTES] = 1
    return all(covered)


def _alone(word: str) -> tuple[str, str]:
    """The days and the times of a text that has only one of them."""
    return ("mon-sun", word) if word[:1].isdigit() else (word, "00:00-24:00")


def _times(text: str, whole: str) -> tuple[int, int]:
    found = _TIMES.fullmatch(text)
    if found is None:
        raise ValueError(_not_times(whole))
    first, second, third, fourth = map(int, found.groups())
    begin, end = first * 60 + second, third * 60 + fourth
    if max(second, fourth) > 59 or begin >= DAY_MINUTES or end > DAY_MINUTES:  # noqa: PLR2004 - minutes
        raise ValueError(f"{quoted(whole)} has a time that is none; a day goes from 00:00 to 24:00")
    if begin == end:
        raise ValueError(f"{quoted(whole)} begins when it ends; a whole day is 00:00-24:00")
    return begin, end if end > begin else end + DAY_MINUTES


def _days(text: str, whole: str) -> Iterator[int]:
    for part in text.split(","):
        first, dash, last = part.partition("-")
        begin, end = _day(first, whole), _day(last if dash else first, whole)
        for number in range(begin, end + 1 if end >= begin else end + 8):
            yield number % 7


def _day(text: str, whole: str) -> int:
    if text not in DAYS:
        near = suggest(text.lower()[:3], DAYS)
        raise ValueError(f"{quoted(whole)} has no day {quoted(text)}, only {' '.join(DAYS)}{near}")
    return DAYS.index(text)


def _not_times(text: str) -> str:
    return (
        f"{quoted(text)} is no time of the week; write one like mon-fri 22:00-06:00, sat,sun or 08:00-18:00"
    )
