"""One of a thing is told in the singular."""

import pytest

from fleet_config.counting import counted


@pytest.mark.parametrize(
    ("count", "words", "text"),
    [
        (0, ("window",), "0 windows"),
        (1, ("window",), "1 window"),
        (2_000, ("window",), "2,000 windows"),
        (1, ("entry", "entries"), "1 entry"),
        (3, ("entry", "entries"), "3 entries"),
    ],
)
def test_the_noun_follows_its_number(count: int, words: tuple[str, ...], text: str) -> None:
    assert counted(count, *words) == text
