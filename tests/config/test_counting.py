"""One of a thing is told in the singular."""

import pytest

from fleet_config.counting import counted, span


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


@pytest.mark.parametrize(("first", "last", "text"), [(106, 106, "106"), (1, 2, "1–2"), (0, 1_000, "0–1000")])
def test_a_range_of_one_number_is_that_number(first: int, last: int, text: str) -> None:
    assert span(first, last) == text
