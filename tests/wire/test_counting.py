import pytest

from fleet_wire.counting import counted


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 rules"), (1, "1 rule"), (2, "2 rules"), (12_345, "12,345 rules")]
)
def test_one_thing_is_in_the_singular(number: int, text: str) -> None:
    assert counted(number, "rule") == text
