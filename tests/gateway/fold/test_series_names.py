"""Each name is defined once, and memory of what is defined is bounded."""

from __future__ import annotations

import numpy as np
import pytest

from edge_gateway.fleet.registry import Registry
from edge_gateway.fold import series_names as naming
from edge_gateway.fold.series_names import SeriesNames
from fleet_wire.control_messages import Birth


def defined(names: SeriesNames, registry: Registry, start: int) -> list[tuple[int, int]]:
    series = np.arange(len(registry.table))
    versions = registry.tag_versions(registry.series_device[series], np.full(len(series), start))
    return [(one.series, one.version) for one in names.new_series([(series, versions)])]


def test_a_pair_is_defined_once_and_again_only_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry()
    registry.device("berlin", "freezer")
    registry.series(0, registry.metric("temperature"))
    names = SeriesNames(registry)
    assert defined(names, registry, 0) == [(0, 0)]
    for change in range(1, 6):
        registry.birth(0, Birth(type=f"type-{change}", boot=1), change * 60_000)
        assert defined(names, registry, change * 60_000) == [(0, change)]
    assert defined(names, registry, 60_000) == [], "defined before"
    monkeypatch.setattr(naming, "MOST_OLDER", 3)
    registry.birth(0, Birth(type="type-6", boot=1), 360_000)
    assert defined(names, registry, 360_000) == [(0, 6)]
    assert defined(names, registry, 60_000) == [(0, 1)]


def test_earlier_versions_are_forgotten_only_when_there_are_as_many_as_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(naming, "MOST_OLDER", 2)
    registry = Registry()
    registry.device("berlin", "freezer")
    registry.series(0, registry.metric("temperature"))
    names = SeriesNames(registry)
    again = []
    for change in range(4):
        registry.birth(0, Birth(type=f"type-{change}", boot=1), change * 60_000)
        assert len(defined(names, registry, change * 60_000)) == 1
        again.append(defined(names, registry, 0))
    assert again == [[], [], [], [(0, 1)]], "the third earlier version makes room"


def test_a_pair_of_any_series_is_told_apart_from_every_other() -> None:
    registry = Registry()
    for number in range(3):
        registry.device("berlin", f"freezer-{number}")
        registry.series(number, registry.metric("temperature"))
    for change in range(4):
        for device in range(3):
            registry.birth(device, Birth(type=f"type-{device}-{change}", boot=1), change * 60_000)
    names = SeriesNames(registry)
    found = [defined(names, registry, change * 60_000) for change in range(4)]
    pairs = [pair for some in found for pair in some]
    assert len(set(pairs)) == len(pairs) == 12
    assert [defined(names, registry, change * 60_000) for change in (3, 0, 2, 1)] == [[]] * 4


def test_codes_that_are_gone_are_remembered_no_more() -> None:
    registry = Registry()
    names = SeriesNames(registry)
    code = registry.strings.code("open", 0)
    assert [text.text for text in names.new_texts([np.array([code])])] == ["open"]
    assert list(names.new_texts([np.array([code])])) == []
    gone = registry.strings.keep(set())
    names.forget_texts(gone)
    assert names.text_name(code) is None
    assert names._codes == set()


def test_the_store_may_ask_for_any_name_the_registry_knows() -> None:
    registry = Registry()
    registry.device("berlin", "freezer")
    registry.series(0, registry.metric("temperature"))
    names = SeriesNames(registry)
    name = names.series_name(0, 0)
    assert name is not None
    assert (name.device, name.metric, name.site, name.series, name.version) == (
        "freezer",
        "temperature",
        "berlin",
        0,
        0,
    )
    assert names.series_name(0, 99) is None
    assert names.series_name(99, 0) is None
