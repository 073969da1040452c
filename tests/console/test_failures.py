"""Errors in a few words."""

import pytest

from fleet_console.failures import in_words, leaf


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no such port"), "ValueError: no such port"),
        (ValueError(), "ValueError"),
        (FileNotFoundError(2, "No such file or directory", "a.yaml"), "No such file or directory: a.yaml"),
        (OSError(), "OSError"),
        (ExceptionGroup("all", [ExceptionGroup("inner", [KeyError("k")]), ValueError("later")]), "KeyError: 'k'"),
    ],
)  # fmt: skip
def test_an_error_is_shown_by_its_class_and_text(error: BaseException, words: str) -> None:
    assert in_words(error) == words


def test_the_leaf_of_a_group_is_its_first_single_error() -> None:
    first = ValueError("first")
    assert leaf(ExceptionGroup("all", [ExceptionGroup("inner", [first]), KeyError()])) is first
    assert leaf(first) is first
