"""What a checkpoint holds of the rules: columns of fixed types, one entry a device of the registry."""

from __future__ import annotations

import numpy as np

from edge_gateway.rules.language.ruleset import Command, Level, NoData, Rule
from tests.gateway.fleet.states import types
from tests.gateway.rules.fleet import Stage

RULES = (
    Rule(
        name="Hot",
        group="g",
        expr="avg_over_time(t, 1m) + u",
        levels=(Level("warning", limit=10.0, for_ms=5_000),),
        no_data=NoData(60_000, "t", "alerting", "info"),
        commands=(Command("fan", "fan", {}, ("firing",), 60_000, 30_000),),
    ),
    Rule(name="twice", group="g", record=True, expr="t * 2"),
)


def test_the_columns_have_their_types_before_the_first_reading() -> None:
    fresh, busy = Stage(*RULES), Stage(*RULES)
    for second in range(0, 60, 2):
        busy.read(second, "a", t=20, u=1)
        busy.read(second, "b", t=20, u=1)
    found, other = fresh.evaluator.snapshot(), busy.evaluator.snapshot()
    assert types(found) == types(other)
    for of in (found, other):
        for histories in (of["histories"], of["records"]):
            assert histories
    assert other["standings"]


def test_the_columns_have_an_entry_for_each_device_and_none_for_room_to_come() -> None:
    stage = Stage(*RULES)
    for device in ("a", "b", "c"):
        stage.read(0, device, t=20, u=1)
    snapshot = stage.evaluator.snapshot()
    columns = [column for part in ("inputs", "newest") for column in snapshot[part].values()]
    assert {len(column) for column in columns if isinstance(column, np.ndarray)} == {3}
