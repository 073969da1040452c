"""Classes of devices with the same rules, and the latches of a class by column, sign and threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_gateway.columns.strings import StringTable
from edge_gateway.rules.alerts.device_classes import NO_CLASS, DeviceClasses
from edge_gateway.rules.columns.program import ABSENT, Program
from edge_gateway.rules.language.ruleset import Level, NoData, Rule

LOW = Rule(name="Low", group="g", expr="t", levels=(Level("info", above=False, limit=0.0),))
HIGH = replace(LOW, name="High", levels=(Level("info", limit=10.0), Level("critical", limit=30.0)))
HIGHER = replace(LOW, name="Higher", levels=(Level("info", limit=20.0),))
OTHER = replace(LOW, name="Other", expr="u", levels=(Level("info", limit=1.0),))
ALL = ((0, -1), (1, -1), (2, -1), (3, -1))


def classes(*rules: Rule) -> DeviceClasses:
    return DeviceClasses(Program(rules, StringTable(100, 100)))


def test_equal_variants_share_a_class() -> None:
    found = classes(LOW, HIGH)
    first = found.numbers([((0, -1),), (), ((0, -1), (1, -1)), ((0, -1),)]).tolist()
    assert first == [1, NO_CLASS, 2, 1]
    assert found.numbers([((0, -1), (1, -1)), ((1, -1),)]).tolist() == [2, 3]
    assert found.size.tolist() == [0, 1, 3, 2]


def test_latches_are_sorted_by_column_sign_and_threshold() -> None:
    found = classes(LOW, HIGH, HIGHER, OTHER)
    (of,) = found.numbers([ALL])
    start, size = found.start[of], found.size[of]
    table = found._program.table
    latches = found.latch[start : start + size]
    assert list(zip(table.column[latches], table.sign[latches], table.threshold[latches], strict=True)) == [
        (0, -1, 0),
        (0, 1, 10),
        (0, 1, 20),
        (0, 1, 30),
        (1, 1, 1),
    ]


def test_the_latches_of_an_alert_know_its_first() -> None:
    found = classes(LOW, HIGH, HIGHER)
    (of,) = found.numbers([ALL[:3]])
    alerts = found.alert[found.start[of] : found.start[of] + found.size[of]].tolist()
    places = found.places(of)
    high = [places[1, 0], places[1, 2]]
    assert [alerts[place] for place in high] == [min(high)] * 2
    assert alerts[places[2, 0]] == places[2, 0]


@pytest.mark.parametrize(("value", "beyond"), [(5.0, 0), (10.0, 0), (10.1, 1), (25.0, 2), (99.0, 3)])
def test_the_latches_beyond_a_value_are_a_prefix_of_their_segment(value: float, beyond: int) -> None:
    found = classes(LOW, HIGH, HIGHER, OTHER)
    (of,) = found.numbers([ALL])
    _, segments = found.segments_of(np.array([of]))
    rising = next(s for s in segments if (found.segment_column[s], found.segment_sign[s]) == (0, 1))
    assert found.beyond(np.array([rising]), np.array([value])).tolist() == [beyond]
    assert found.segment_least[rising] == 10.0


def test_segments_by_row() -> None:
    found = classes(LOW, OTHER)
    one, both = found.numbers([((0, -1),), ((0, -1), (1, -1))])
    row, segment = found.segments_of(np.array([both, NO_CLASS, one]))
    assert row.tolist() == [0, 0, 2]
    assert found.segment_column[segment].tolist() == [0, 1, 0]


def test_absence_latches_by_class() -> None:
    found = classes(replace(HIGH, no_data=NoData(5, "t", "alerting", "info")), OTHER)
    (with_absence, without) = found.numbers([((0, -1),), ((1, -1),)])
    assert found.absences[[NO_CLASS, with_absence, without]].tolist() == [0, 1, 0]
    place = found.absence_place[found.absence[with_absence]]
    assert found.places(with_absence)[0, ABSENT] == place


def test_the_rings_of_a_class() -> None:
    found = classes(LOW, replace(LOW, expr="avg_over_time(t, 1m)"))
    plain, ranged = found.numbers([((0, -1),), ((1, -1),)]).tolist()
    assert (found.rings(plain), found.rings(ranged), found.rings(ranged)) == ((), (0,), (0,))
