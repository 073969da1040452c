"""Units and limits, as points beside the readings."""

import pytest

from edge_gateway.records.inputs import Moment, Reload
from edge_gateway.rules.language.ruleset import Level, LevelChange, Override, Rule, RuleSet
from edge_gateway.service.described import AGAIN_AFTER, LOOK_AFTER, Described, common_units, limits_of
from edge_gateway.store.line_protocol import Limit
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.status.fed_gateway import START, Gateway, topic


def test_the_unit_of_a_metric_is_that_of_most_births() -> None:
    shared = {"t": "°C", "p": "bar"}
    assert common_units([{"t": "°F"}, shared, shared, {}]) == {"t": "°C", "p": "bar"}
    assert common_units([]) == {}


HOT = Rule(
    name="Hot",
    group="g",
    expr="avg_over_time ( t , 1m )",
    levels=(Level("warning", limit=10.0, clear=9.0), Level("critical", limit=20.0)),
    overrides=(Override({"site": ["lyon"]}, (LevelChange("warning", limit=12.0, clear=11.0),)),),
)


@pytest.mark.parametrize(
    "expr", ["deriv ( t , 1m ) * 60", "abs ( t )", "t + 0", "t > 1", "delta ( t , 1m )", "rate ( t , 5m )"]
)
def test_a_limit_in_another_unit_is_no_limit_of_the_metric(expr: str) -> None:
    rule = Rule(name="R", group="g", expr=expr, levels=(Level("warning", limit=10.0),))
    assert list(limits_of(rule, None, "berlin")) == []


def test_a_side_below_is_told() -> None:
    rule = Rule(name="Low", group="g", expr="level", levels=(Level("info", above=False, limit=5.0),))
    assert list(limits_of(rule, None, "berlin")) == [
        Limit("Low", "info", "level", "below", "berlin", 5.0, None)
    ]


def test_each_site_has_the_limits_of_its_devices() -> None:
    gateway = Gateway()
    gateway.pipeline.fold(Reload(Moment(START, 0), RuleSet((HOT,)).to_plain()))
    described = Described()
    for site in ("lyon", "porto"):
        gateway.take((topic(f"{site}-1", site=site), encode_telemetry(1, 0, START, {"t": 1.0})))
    lines = described.due(gateway.pipeline, 0, START).decode().splitlines()
    stamp = f"{START}000000"
    assert lines == [
        f"limit,level=critical,metric=t,rule=Hot,side=above,site=lyon value=20.0 {stamp}",
        f"limit,level=critical,metric=t,rule=Hot,side=above,site=porto value=20.0 {stamp}",
        f"limit,level=warning,metric=t,rule=Hot,side=above,site=lyon clear=11.0,value=12.0 {stamp}",
        f"limit,level=warning,metric=t,rule=Hot,side=above,site=porto clear=9.0,value=10.0 {stamp}",
    ]


def test_what_is_still_so_is_written_hourly_and_what_changed_at_the_next_look() -> None:
    gateway, described = Gateway(), Described()
    gateway.pipeline.fold(Reload(Moment(START, 0), RuleSet((HOT,)).to_plain()))
    gateway.take((topic("d"), encode_telemetry(1, 0, START, {"t": 1.0})))
    assert described.due(gateway.pipeline, 0, START)
    assert not described.due(gateway.pipeline, LOOK_AFTER, START)
    assert not described.due(gateway.pipeline, AGAIN_AFTER - 1, START)
    assert described.due(gateway.pipeline, AGAIN_AFTER - 1 + LOOK_AFTER, START)
    gateway.pipeline.fold(Reload(Moment(START, 0), RuleSet(()).to_plain()))
    assert described.due(gateway.pipeline, AGAIN_AFTER + 2 * LOOK_AFTER, START) == b""
    gateway.pipeline.fold(Reload(Moment(START, 0), RuleSet((HOT,)).to_plain()))
    assert not described.due(gateway.pipeline, AGAIN_AFTER + 3 * LOOK_AFTER - 1, START)
    assert described.due(gateway.pipeline, AGAIN_AFTER + 3 * LOOK_AFTER, START)
