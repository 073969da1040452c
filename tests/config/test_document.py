"""Where in a file a value stands, and whose problem it is."""

import pytest

from fleet_config.document import Document, Place

DOCUMENT = Document(
    {"a": {"b": [1, 2]}, "c": 3},
    "x.yaml",
    Place(
        (1, 1),
        keys={"a": (1, 1), "c": (4, 1)},
        children={
            "a": Place(
                (2, 3), keys={"b": (2, 3)}, children={"b": Place((2, 6), children={0: Place((2, 7))})}
            ),
            "c": Place((4, 4), origin="EDGE_C"),
        },
    ),
)


def test_a_value_is_found_by_its_path() -> None:
    assert DOCUMENT.get(("a", "b", 1)) == 2
    assert DOCUMENT.get(()) == DOCUMENT.data
    with pytest.raises(KeyError):
        DOCUMENT.get(("a", "x"))


@pytest.mark.parametrize(
    ("path", "at"), [((), (1, 1)), (("a", "b", 0), (2, 7)), (("a", "b", 1), (2, 6)), (("x", "y"), (1, 1))]
)
def test_a_value_stands_where_it_is_or_where_the_nearest_around_it_is(
    path: tuple[str | int, ...], at: tuple[int, int]
) -> None:
    assert DOCUMENT.where(path) == at


@pytest.mark.parametrize(
    ("path", "at"), [((), (1, 1)), (("c",), (4, 1)), (("a", "b"), (2, 3)), (("a", "b", 0), (2, 7))]
)
def test_a_key_stands_where_it_is_written_and_an_item_where_its_value_is(
    path: tuple[str | int, ...], at: tuple[int, int]
) -> None:
    assert DOCUMENT.where_key(path) == at


def test_a_problem_names_the_source_of_its_value() -> None:
    assert str(DOCUMENT.problem(("a", "b"), "odd")) == "x.yaml:2:6: odd"
    assert str(DOCUMENT.problem(("a", "b"), "odd", key=True)) == "x.yaml:2:3: odd"
    assert str(DOCUMENT.problem(("c",), "odd")) == "EDGE_C:4:4: odd"
