"""Dates and addresses as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.configuration.texts import instant, instant_text, url_parts

FORM = "mqtt://host:port"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1970-01-02", 86_400_000),
        ("1970-01-01T00:00:01Z", 1_000),
        ("1970-01-01T01:00:00+01:00", 0),
    ],
)
def test_a_date_is_utc_unless_it_says_otherwise(text: str, at: int) -> None:
    assert instant(text) == at


@given(st.integers(-60_000_000_000_000, 250_000_000_000_000))
def test_an_instant_is_read_back_as_it_was_written(at: int) -> None:
    assert instant(instant_text(at)) == at


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (1_577_836_800_000, "2020-01-01"),
        (1_577_880_000_000, "2020-01-01T12:00:00Z"),
        (1_577_836_800_001, "2020-01-01T00:00:00.001Z"),
    ],
)
def test_an_instant_is_a_date_where_it_is_midnight(at: int, text: str) -> None:
    assert instant_text(at) == text


@pytest.mark.parametrize("value", ["soon", "2020-13-01", 2020, None])
def test_what_is_not_a_date_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(ValueError, match="2020-01-01"):
        instant(value)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("mqtt://pi", "pi", None),
        ("mqtt://pi:1884", "pi", 1884),
        ("mqtt://[::1]:1883", "::1", 1883),
    ],
)
def test_an_address_is_split(text: str, host: str, port: int | None) -> None:
    parts = url_parts(text, {"mqtt"}, FORM)
    assert (parts.hostname, parts.port) == (host, port)


@pytest.mark.parametrize(
    "text",
    ["pi:secret", "http://pi", "mqtt://", "mqtt://[secret", "mqtt://pi secret", "mqtt://pi:0",
     "mqtt://pi:66000", "mqtt://pi:secret", "mqtt://pi?secret", "mqtt://pi#secret", "mqtt://pi/\x1b"],
)  # fmt: skip
def test_what_is_not_an_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match=FORM) as refused:
        url_parts(text, {"mqtt"}, FORM)
    assert "secret" not in str(refused.value)
