# ruff: noqa: E501 - tables of messages are read line by line
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_config.durations import (
    RateSpec,
    format_duration,
    format_size,
    parse_duration,
    parse_offset,
    parse_percent,
    parse_rate,
    parse_size,
    rounded_duration,
    rounded_size,
)


@given(st.integers(0, 900 * 365 * 86_400_000))
def test_format_and_parse_are_inverses(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds)) == milliseconds


@given(st.integers(-(10**12), 10**12))
def test_offsets_may_have_a_sign(milliseconds: int) -> None:
    assert parse_offset(format_duration(milliseconds)) == milliseconds


@pytest.mark.parametrize(("text", "ms"), [
    ("0s", 0), ("1ms", 1), ("90s", 90_000), ("1m30s", 90_000), ("1.5h", 5_400_000), ("0.8s", 800), ("2y", 2 * 365 * 86_400_000),
    ("1w1d", 8 * 86_400_000), ("0.001s", 1), ("1h0m5s", 3_605_000),
])  # fmt: skip
def test_durations_are_parsed_into_milliseconds(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize(("ms", "text"), [
    (0, "0s"), (1, "1ms"), (90_000, "1m30s"), (86_400_000, "1d"), (8 * 86_400_000, "8d"), (7 * 86_400_000, "1w"),
    (30 * 86_400_000, "30d"), (-1500, "-1s500ms"), (730 * 86_400_000, "2y"),
])  # fmt: skip
def test_durations_are_formatted_as_the_shortest_text(ms: int, text: str) -> None:
    assert format_duration(ms) == text


@pytest.mark.parametrize(("value", "text"), [
    (90, "needs a unit; write 90s"), (1.5, "needs a unit"), ("90", "is not a duration"), ("-5s", "is not a duration"),
    ("5 s", "is not a duration; write 5s"), ("2 Hours 5min", "; write 2h5m"), ("5 cm", "; write one like 90s"), ("1:30", "; write 1m30s"), ("2:00:00", "; write 2h"), ("1s1m", "out of order"), ("1s1s", "out of order or twice"), ("0.5ms", "whole number of milliseconds"),
    ("1001y", "longer than 1000 years"), (True, "not true or false"), (None, "not nothing"), (["5s"], "not a list"), ("", "is not a duration"),
    ("1e3s", "is not a duration"), ("\u0661s", "is not a duration"), ("9" * 400 + "s", "is not a duration"),
])  # fmt: skip
def test_bad_durations_are_refused_with_advice(value: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_duration(value)


@pytest.mark.parametrize(("text", "count", "per_ms", "written"), [
    ("6/m", 6.0, 60_000, "6/m"), ("50/s", 50.0, 1000, "50/s"), ("1/10s", 1.0, 10_000, "1/10s"), ("0.5/s", 0.5, 1000, "0.5/s"),
    ("5/100ms", 5.0, 100, "5/100ms"), ("3/d", 3.0, 86_400_000, "3/d"), ("1234567/90s", 1234567.0, 90_000, "1234567/90s"),
    ("0.00001/60m", 0.00001, 3_600_000, "0.00001/h"),
])  # fmt: skip
def test_rates_are_a_count_per_time(text: str, count: float, per_ms: int, written: str) -> None:
    rate = parse_rate(text)
    assert rate == RateSpec(count, per_ms)
    assert str(rate) == written
    assert rate.per_second == pytest.approx(count * 1000 / per_ms)


@given(
    st.integers(1, 10**9),
    st.integers(0, 9),
    st.integers(1, 300_000),
    st.sampled_from(["ms", "s", "m", "h", "d"]),
)
def test_a_rate_is_read_back_as_it_was_written(count: int, places: int, amount: int, unit: str) -> None:
    rate = parse_rate(f"{count / 10**places:.9f}/{amount}{unit}")
    assert parse_rate(str(rate)) == rate


@pytest.mark.parametrize("value", ["6", "6/", "/s", "6/q", "6/0s", "-1/s", 6, None, "6 / s"])
def test_bad_rates_are_refused_with_advice(value: Any) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        parse_rate(value)


@pytest.mark.parametrize(("text", "size"), [
    ("4GiB", 4 << 30), ("100MiB", 100 << 20), ("64kB", 64_000), ("1.5 KiB", 1536), ("0B", 0), ("2TB", 2 * 10**12),
])  # fmt: skip
def test_sizes_are_parsed_into_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@given(st.integers(0, 10**15 - 1))
def test_a_size_is_read_back_as_it_was_written(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(("size", "text"), [
    (0, "0B"), (1, "1B"), (1500, "1500B"), (2 << 30, "2GiB"), (2 * 10**9, "2GB"), (1536, "1536B"), (3 << 19, "1536KiB"), (64_000, "64kB"),
])  # fmt: skip
def test_sizes_are_formatted_as_the_shortest_text(size: int, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize("value", [5, 5.5, "5", "5 gib", "GiB", None, True])
def test_bad_sizes_are_refused_with_advice(value: Any) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(value)


@pytest.mark.parametrize(
    ("value", "share"), [("10%", 0.1), (0.1, 0.1), ("0%", 0.0), (1, 1.0), ("100%", 1.0), ("0.5 %", 0.005)]
)
def test_percentages_are_shares(value: Any, share: float) -> None:
    assert parse_percent(value) == share


@pytest.mark.parametrize("value", [10, 1.01, -0.1, "101%", "10", True, None, float("nan")])
def test_bad_percentages_are_refused_with_advice(value: Any) -> None:
    with pytest.raises(ValueError, match="%"):
        parse_percent(value)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0s"),
        (1_499, "1s"),
        (3_599_400, "59m59s"),
        (259_199_992, "3d"),
        (-36_000_000, "-10h"),
        (3_690_000, "1h2m"),
    ],
)
def test_a_rounded_duration_has_minutes_from_an_hour_on_and_seconds_below(
    milliseconds: int, text: str
) -> None:
    assert rounded_duration(milliseconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (3 << 20, "3.0 MiB"),
        (4 << 30, "4.0 GiB"),
        (5 << 50, "5,120.0 TiB"),
    ],
)
def test_a_rounded_size_has_a_tenth_of_its_unit(count: int, text: str) -> None:
    assert rounded_size(count) == text
