import pytest

from edge_gateway.rules.files.wait import Wait, parse_wait


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("90s", Wait(90_000)),
        ("0s", Wait()),
        ("3 readings", Wait(readings=3)),
        ("2 reading", Wait(readings=2)),
    ],
)
def test_a_wait_is_a_duration_or_a_number_of_readings(text: str, wait: Wait) -> None:
    assert parse_wait(text) == wait
    assert parse_wait(wait) is wait


@pytest.mark.parametrize("wait", [Wait(90_000), Wait(readings=3)])
def test_a_wait_is_written_as_it_is_read(wait: Wait) -> None:
    assert parse_wait(str(wait)) == wait


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("1 reading", "not between 2 and 1000 readings"),
        ("1001 readings", "not between 2 and 1000 readings"),
        ("three readings", "write 90s or 3 readings"),
        ("3", "is not a duration"),
        (3, "needs a unit"),
    ],
)
def test_what_is_no_wait(value: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_wait(value)
