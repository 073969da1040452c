"""A fold that follows a journal's records closes the windows they name, whatever its own pace."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from edge_gateway.fold import pipeline as pace
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.recorded_windows import same_windows
from edge_gateway.fold.series_names import SeriesNames
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records import codec
from edge_gateway.records.inputs import Input, Reload
from edge_gateway.records.store_effects import StoreEffects, effects_from_tree
from tests.gateway.fold.given import moment, scenario, settings

P95 = {"metrics": {"temperature": {"range": [-40, 85], "p95": True}}}


@pytest.fixture
def given(rules: dict[str, Any]) -> list[Input]:
    return [Reload(moment(0), rules), *scenario(5)]


def fold() -> Pipeline:
    return build_pipeline("gw", settings(**P95))


def recorded(given: list[Input]) -> list[StoreEffects]:
    """What the journal holds of a life of these inputs."""
    pipeline = fold()
    names = SeriesNames(pipeline.registry)
    stored = [pipeline.fold(one).for_store(names) for one in given]
    return [effects_from_tree(tree) for tree in codec.decode(codec.encode(stored))]


def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "CLOSE_ROWS", 1)
    monkeypatch.setattr(pace, "CLOSE_SHARE", 0)


def test_the_same_program_closes_the_same_windows(given: list[Input]) -> None:
    again = fold()
    assert all(
        same_windows(again.fold(one), led_to) for one, led_to in zip(given, recorded(given), strict=True)
    )


def test_a_program_of_another_pace_differs_and_is_noticed(
    given: list[Input], monkeypatch: pytest.MonkeyPatch
) -> None:
    records = recorded(given)
    slow(monkeypatch)
    other = fold()
    assert not all(same_windows(other.fold(one), led_to) for one, led_to in zip(given, records, strict=True))


def test_a_program_of_another_pace_that_follows_comes_to_the_same_state(
    given: list[Input], monkeypatch: pytest.MonkeyPatch
) -> None:
    records = recorded(given)
    assert any(closed.block.tails for one in records for closed in one.windows)
    assert any(one.states for one in records)
    assert any(one.late is not None for one in records)
    usual = fold()
    for one in given:
        usual.fold(one)
    slow(monkeypatch)
    follower = fold()
    for one, led_to in zip(given, records, strict=True):
        follower.refold(one, led_to)
    left = still_open(usual)
    assert left
    assert still_open(follower) == left


def still_open(pipeline: Pipeline) -> Counter[tuple[int, bytes]]:
    """The rows of everything that is still in windows, by tier."""
    closed = pipeline.windows.drain()
    return Counter((one.tier, row.tobytes()) for one in (*closed.numbers, *closed.states) for row in one.rows)
