"""What plain scalars mean, against the table of YAML 1.2's core schema and what people expect."""

import math

import pytest

from fleet_config.scalars import AmbiguousScalarError, read_plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("0.1", 0.1),
        ("-.inf", -math.inf),
        ("on", "on"),
        ("yes", "yes"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("2026-01-01", "2026-01-01"),
        ("1.2.3", "1.2.3"),
        ("10s", "10s"),
        ("1" * 30, int("1" * 30)),
        ("-", "-"),
    ],
)
def test_a_plain_scalar_means_what_people_expect(text: str, value: object) -> None:
    read = read_plain(text)
    assert read == value
    assert type(read) is type(value)


def test_nan_is_a_number() -> None:
    assert math.isnan(float(str(read_plain(".nan"))))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("010", "leading zero"),
        ("-007", "leading zero"),
        ("1:30", "base 60"),
        ("1:30:00", "base 60"),
        ("1" * 31, "31 digits"),
    ],
)
def test_what_people_and_yaml_read_differently_is_refused(text: str, said: str) -> None:
    with pytest.raises(AmbiguousScalarError, match=said):
        read_plain(text)
