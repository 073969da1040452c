"""Expected devices are missed if they are never heard, whatever restarts, and stay until they leave the inventory."""

from __future__ import annotations

from typing import Any

from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records import codec
from edge_gateway.records.inputs import Reload, Tick
from edge_gateway.rules.language.inventory import ExpectedDevice
from edge_gateway.rules.language.ruleset import NoData, Rule, RuleSet
from tests.gateway.fold.given import HOUR, batch, birth, moment, reading, settings

SILENT = Rule(
    name="SensorSilent",
    group="g",
    match=({"type": ["freezer"], "room": ["cellar"]},),
    no_data=NoData(10_000, "temperature", "alerting", "warning"),
)
F1 = ExpectedDevice("f1", "berlin", "freezer", {"room": "cellar"}, ("temperature",))
F2 = ExpectedDevice("f2", "berlin", "freezer", {"room": "attic"}, ("temperature",))


def reload(ms: int, *inventory: ExpectedDevice) -> Reload:
    return Reload(moment(ms), RuleSet((SILENT,), inventory=inventory).to_plain())


def expecting(*inventory: ExpectedDevice, **changes: Any) -> Pipeline:
    pipeline = build_pipeline("gw", settings(**changes))
    pipeline.fold(reload(0, *inventory), number=1)
    return pipeline


def restarted(pipeline: Pipeline, **changes: Any) -> Pipeline:
    fresh = build_pipeline("gw", settings(**changes))
    fresh.restore(codec.decode(codec.encode(pipeline.snapshot())))
    return fresh


def ticked(pipeline: Pipeline, ms: int) -> list[str]:
    return [f"{one.event} {one.subject} {one.cause}" for one in pipeline.fold(Tick(moment(ms))).alerts]


def test_a_device_that_was_never_heard_is_missed_from_the_start_on_whatever_restarts() -> None:
    pipeline = expecting(F1, F2)
    assert ticked(pipeline, 6_000) == []
    pipeline = restarted(pipeline)
    assert ticked(pipeline, 9_999) == []
    assert ticked(pipeline, 10_000) == ["firing f1 no_data"]
    assert ticked(restarted(pipeline), 20_000) == []


def test_its_first_reading_ends_that_and_its_birth_says_what_it_is() -> None:
    pipeline = expecting(F1)
    ticked(pipeline, 10_000)
    born, read = birth("f1", room="cellar"), reading("f1", 0, 11_000, temperature=1.0)
    found = pipeline.fold(batch(11_000, born, read))
    assert [(one.event, one.cause) for one in found.alerts] == [("resolved", "reading")]
    pipeline.fold(batch(12_000, birth("f1", room="roof")))
    pipeline.fold(reload(13_000, F1, F2))
    device = pipeline.registry.find("f1")
    assert device is not None
    assert pipeline.registry.tags(device) == {"room": "roof"}


def test_an_expected_device_is_never_retired_and_another_one_is() -> None:
    limits = {"limits": {"retire_after": "1h"}}
    pipeline = expecting(F1, **limits)
    pipeline.fold(batch(1_000, birth("stranger")))
    pipeline = restarted(pipeline, **limits)
    ticked(pipeline, 3 * HOUR)
    ticked(pipeline, 3 * HOUR + 1_000)
    assert pipeline.registry.find("stranger") is None
    assert pipeline.registry.find("f1") is not None


def test_what_leaves_the_inventory_unheard_is_forgotten_and_its_alert_ends() -> None:
    pipeline = expecting(F1)
    ticked(pipeline, 10_000)
    pipeline.fold(reload(11_000))
    assert ticked(pipeline, 12_000) == ["resolved f1 retired"]
    assert pipeline.registry.find("f1") is None


def test_another_row_is_another_device_until_it_is_born() -> None:
    pipeline = expecting(F2)
    moved = ExpectedDevice("f2", "berlin", "freezer", {"room": "cellar"}, ("temperature",))
    pipeline.fold(reload(1_000, moved))
    assert ticked(pipeline, 10_000) == ["firing f2 no_data"]


def test_rows_of_sites_that_are_not_the_gateway_s_are_passed_over() -> None:
    pipeline = expecting(F1, ExpectedDevice("f9", "oslo"), gateway={"sites": ["berlin"]})
    assert pipeline.registry.find("f9") is None
    assert pipeline.registry.alive == 1
