"""Classes that a file names by one of their keys."""

from typing import Literal

from fleet_config.validation import Strict
from fleet_sim.kinds import kinds_of


class Shape(Strict):
    form: str


class Round(Shape):
    """No kind itself: its key is no word."""


class Circle(Round):
    form: Literal["circle"] = "circle"


class Box(Shape):
    form: Literal["box"]


class Cube(Box):
    form: Literal["cube"]  # type: ignore[assignment]


def test_kinds_are_the_classes_with_a_word_in_alphabetical_order() -> None:
    assert list(kinds_of(Shape, "form").items()) == [("box", Box), ("circle", Circle), ("cube", Cube)]
    assert list(kinds_of(Round, "form")) == ["circle"]
