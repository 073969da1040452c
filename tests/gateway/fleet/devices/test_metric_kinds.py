"""Kinds of metrics: gateway.yaml before the birth, a birth before the values."""

import pytest

from edge_gateway.fleet.devices.births import BirthFacts
from edge_gateway.fleet.devices.metric_kinds import MetricKinds
from edge_gateway.fleet.devices.series import KIND_NUMBER, KIND_OPEN, KIND_STATE, SeriesTable

BIRTH = BirthFacts("pump", {}, {"t": "C"}, {"door": "state", "n": "number"}, None)


def table(*names: str, limit: int = 100) -> SeriesTable:
    found = SeriesTable(limit)
    found.number_as_many(0, names)
    return found


def kind(held: SeriesTable, name: str) -> int:
    return int(held.kind[held.find(0, name)])


@pytest.mark.parametrize(
    ("metric", "declared"),
    [("t", KIND_NUMBER), ("n", KIND_NUMBER), ("door", KIND_STATE), ("other", KIND_OPEN)],
)
def test_a_birth_declares_kinds_by_unit_or_name(metric: str, declared: int) -> None:
    assert MetricKinds({}).of(metric, BIRTH) == declared
    assert MetricKinds({}).of(metric, None) == KIND_OPEN


def test_gateway_yaml_takes_precedence_over_a_birth() -> None:
    kinds = MetricKinds({"t": KIND_STATE})
    assert kinds.of("t", BIRTH) == kinds.of("t", None) == KIND_STATE
    held = table("t", "door")
    kinds.declare(held, 0, BIRTH)
    assert (kind(held, "t"), kind(held, "door")) == (KIND_OPEN, KIND_STATE)


def test_the_kinds_of_gateway_yaml_apply_to_series_that_exist_however_full_the_table_is() -> None:
    held = table("t", "u", limit=2)
    held.kind[:] = KIND_NUMBER
    kinds = MetricKinds({"t": KIND_STATE, "never sent": KIND_STATE})
    kinds.apply_configured(held)
    assert held.find(0, "t") == 2, "a series of numbers is replaced"
    assert (kind(held, "u"), held.find(0, "u")) == (KIND_NUMBER, 1)
    held.kind[2] = KIND_STATE
    kinds.apply_configured(held)
    assert held.find(0, "t") == 2, "unchanged settings change nothing"


def test_a_restarted_device_decides_again_what_nothing_declares() -> None:
    held = table("t", "other")
    held.kind[:] = KIND_NUMBER
    MetricKinds({}).reopen_kinds(held, 0, BIRTH)
    assert held.anew.tolist() == [False, True]
