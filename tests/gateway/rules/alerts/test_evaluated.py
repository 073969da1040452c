"""What is noted of rules that were evaluated: by class and input, and by nothing else."""

from typing import Any

import numpy as np
import pytest

from edge_gateway.rules.alerts.evaluated import Evaluated


def column(*items: int) -> Any:
    return np.array(items, np.int64)


def test_a_class_has_sent_what_one_of_its_devices_sent() -> None:
    evaluated = Evaluated(3)
    evaluated.note(column(1, 70), column(2, 0))
    assert evaluated.sent([1], [2])
    assert evaluated.sent([5, 70], [1, 0])
    assert not evaluated.sent([1], [0, 1])
    assert not evaluated.sent([70], [2])


@pytest.mark.parametrize(("classes", "inputs"), [([], [0]), ([1], []), ([10_000], [0])])
def test_nothing_was_sent_by_nobody(classes: list[int], inputs: list[int]) -> None:
    evaluated = Evaluated(1)
    assert not evaluated.sent(classes, inputs)
    evaluated.note(column(), column())
    evaluated.note(column(1), column(0))
    assert not evaluated.sent(classes, inputs)


def test_what_was_noted_stays_as_classes_are_added() -> None:
    evaluated = Evaluated(2)
    for number in range(1, 500):
        evaluated.note(column(number), column(number % 2))
    assert all(evaluated.sent([number], [number % 2]) for number in range(1, 500))
    assert not any(evaluated.sent([number], [1 - number % 2]) for number in range(1, 500))
