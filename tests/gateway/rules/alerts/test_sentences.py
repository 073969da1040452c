"""What is said where there is no value."""

from __future__ import annotations

import pytest

from edge_gateway.rules.alerts.sentences import spoken, without_value
from edge_gateway.rules.alerts.state_machine import NOTHING, StateChange
from edge_gateway.rules.language.ruleset import Level, NoData, Rule
from fleet_wire.control_messages import AlertCause, AlertState

HOT = Rule(
    name="Hot",
    group="g",
    expr="t",
    levels=(Level("warning", limit=10.0),),
    no_data=NoData(120_000, "t", "alerting", "info"),
)


@pytest.mark.parametrize(
    ("cause", "state", "silent", "said"),
    [
        ("no_data", "firing", True, "d has sent no t for 2 min"),
        ("no_data", "inactive", False, "d has sent no t for 2 min"),
        ("time", "firing", True, "d has sent no t for 2 min"),
        ("time", "firing", False, "Hot is firing on d"),
        ("reading", "pending", False, "Hot is about to fire on d"),
        ("reading", "resolved", False, "Hot has ended on d"),
        ("reading", "inactive", False, "Hot did not fire on d"),
        ("expired", "inactive", False, "the last t of d is too old to judge"),
        ("reload", "resolved", False, "Hot was changed and no longer holds for d"),
        ("reload", "firing", False, "Hot is firing on d"),
        ("removed", "resolved", False, "Hot was removed from the rules"),
        ("moved", "resolved", False, "Hot no longer applies to d"),
        ("retired", "resolved", False, "d is no longer watched"),
    ],
)
def test_a_change_without_a_value(cause: AlertCause, state: AlertState, silent: bool, said: str) -> None:
    change = StateChange("firing", cause, state, 1, NOTHING, 1000)
    assert without_value(HOT, "d", change, silent=silent) == said


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (120_000, "2 min"),
        (90_000, "90 s"),
        (3_600_000, "1 h"),
        (172_800_000, "2 d"),
        (1_500, "1500 ms"),
    ],
)
def test_a_duration_is_spoken_in_its_largest_whole_unit(ms: int, said: str) -> None:
    assert spoken(ms) == said
