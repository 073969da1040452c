import pytest

from edge_gateway.rules.language.schedule import WeekSpan, covers_the_week, holds_at, parse_span

DAILY = tuple(range(7))


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("mon-fri 22:00-06:00", WeekSpan((0, 1, 2, 3, 4), 1320, 1800)),
        ("08:00-18:00", WeekSpan(DAILY, 480, 1080)),
        ("sat,sun", WeekSpan((5, 6), 0, 1440)),
        ("fri-mon,wed 00:00-24:00", WeekSpan((0, 2, 4, 5, 6), 0, 1440)),
        ("mon 12:30-00:00", WeekSpan((0,), 750, 1440)),
    ],
)
def test_a_span_of_days_and_times(text: str, span: WeekSpan) -> None:
    assert parse_span(text) == span


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no time of the week"),
        ("mon 8-18", "is no time of the week"),
        ("mon 08:00-18:00 tue", "is no time of the week"),
        ("monday", "no day 'monday'.* did you mean 'mon'"),
        ("mon- 08:00-18:00", "no day ''"),
        ("24:00-01:00", "has a time that is none"),
        ("08:60-09:00", "has a time that is none"),
        ("08:00-08:00", "begins when it ends"),
        ("mon," * 40, "is no time of the week"),
    ],
)
def test_what_is_no_span(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_span(text)


@pytest.mark.parametrize(
    ("texts", "covers"),
    [
        (["mon-sun"], True),
        (["22:00-06:00", "06:00-22:00"], True),
        (["mon-fri", "sat,sun 00:00-23:59"], False),
        (["sun 12:00-11:59", "mon-sun 00:00-12:00"], False),
        ([], False),
    ],
)
def test_whether_spans_cover_the_week(texts: list[str], covers: bool) -> None:
    assert covers_the_week(map(parse_span, texts)) is covers


@pytest.mark.parametrize(
    ("text", "minute", "holds"),
    [
        ("mon 00:00-00:01", 0, True),
        ("mon 00:00-00:01", 1, False),
        ("sun 23:00-01:00", 59, True),
        ("sun 23:00-01:00", 60, False),
        ("tue 08:00-09:00", 1440 + 480, True),
        ("tue 08:00-09:00", 480, False),
    ],
)
def test_whether_a_minute_of_the_week_is_in_a_span(text: str, minute: int, holds: bool) -> None:
    assert holds_at(parse_span(text), minute) is holds
