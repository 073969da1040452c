"""A request to forget is an input of the fold, or says why it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from edge_gateway.fleet.registry import Registry
from edge_gateway.fold.forget import forget_answer, forget_input
from edge_gateway.records.inputs import Forget, Moment

NOW = Moment(5, 7)


@pytest.fixture
def registry() -> Registry:
    known = Registry()
    known.device("berlin", "freezer")
    known.series(0, known.metric("temperature"))
    return known


@pytest.mark.parametrize("metric", [None, "temperature"])
def test_what_is_known_can_be_forgotten(registry: Registry, metric: str | None) -> None:
    args = {"device": "freezer"} | ({} if metric is None else {"metric": metric})
    assert forget_input(registry, NOW, args) == Forget(NOW, "freezer", metric)


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({}, "forget needs a 'device', and takes a 'metric', both as text"),
        ({"device": 7}, "forget needs a 'device'"),
        ({"device": "freezer", "metric": 7}, "forget needs a 'device'"),
        ({"device": "freezr"}, "no device 'freezr' is known here"),
        ({"device": "a\nb"}, r"no device 'a\\nb' is known here"),
        ({"device": "freezer", "metric": "temprature"}, "'freezer' has no metric 'temprature'.*temperature"),
    ],
)
def test_a_request_that_cannot_be_done_says_why(registry: Registry, args: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        forget_input(registry, NOW, args)


def test_a_device_of_the_inventory_is_forgotten_there(registry: Registry) -> None:
    registry.expected = frozenset({"freezer"})
    with pytest.raises(ValueError, match="'freezer' is expected by the inventory: take it out of that file"):
        forget_input(registry, NOW, {"device": "freezer"})
    assert forget_input(registry, NOW, {"device": "freezer", "metric": "temperature"}).metric == "temperature"


def test_the_answer_says_what_happens_next() -> None:
    assert forget_answer(Forget(NOW, "freezer", "temperature")) == (
        "freezer temperature: starts afresh with its next value"
    )
    assert forget_answer(Forget(NOW, "freezer")) == (
        "freezer: its metrics start afresh with their next values; "
        "if it stays silent, it is forgotten once its open windows are closed, "
        "and what the broker retains of it does not bring it back"
    )
