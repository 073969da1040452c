"""Rules over groups through the fold: where their alerts go, and which ticks a journal holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records import codec
from edge_gateway.records.inputs import Reload, Tick
from fleet_wire import topics
from fleet_wire.control_messages import decode_alert
from tests.gateway.fold.given import START, batch, birth, moment, reading, settings
from tests.gateway.rules.groups.grouped import rules_in

WARM = "{alert: Warm, expr: avg(temperature), by: [site, line], above: 10, for: 2s, keep_firing_for: 2s}"


@pytest.fixture
def rules(tmp_path: Path) -> dict[str, Any]:
    return rules_in(tmp_path, WARM).to_plain()


def warm(rules: dict[str, Any]) -> Pipeline:
    pipeline = build_pipeline("gw", settings())
    pipeline.fold(Reload(moment(0), rules))
    pipeline.fold(batch(100, birth("f1", line="a/b"), reading("f1", 0, 100, temperature=20.0)))
    return pipeline


def test_an_alert_is_retained_under_a_level_that_stands_for_the_group(rules: dict[str, Any]) -> None:
    pipeline = warm(rules)
    assert [each.event for each in pipeline.fold(Tick(moment(1_000))).alerts] == ["pending"]
    effects = pipeline.fold(Tick(moment(3_000)))
    assert effects.urgent
    (message,) = [each for each in effects.outgoing if "/alerts/" in each.topic]
    level = topics.group_level("site=berlin, line=a/b")
    assert (message.topic, message.retain) == (f"edge/v1/gw/alerts/berlin/{level}/Warm", True)
    alert = decode_alert(message.payload)
    assert (alert.subject, alert.site, alert.at) == ("site=berlin, line=a/b", "berlin", START + 3_000)
    assert (alert.boot, alert.seq, alert.labels) == (None, None, {"site": "berlin", "line": "a/b"})
    assert not effects.commands
    assert [each.topic for each in pipeline.restart_messages()] == [message.topic]


def test_a_tick_is_journaled_if_it_changes_what_a_group_waits_for(rules: dict[str, Any]) -> None:
    pipeline = warm(rules)
    groups = pipeline.rules.groups
    moved = []
    for ms, looks in ((500, False), (1_000, True), (2_000, True), (3_000, True)):
        effects = pipeline.fold(Tick(moment(ms), groups=looks))
        moved.append(groups.moved)
        assert effects.changed >= groups.moved
    assert moved == [False, True, False, True]
    pipeline.fold(batch(3_500, reading("f1", 1, 3_500, temperature=0.0)))
    clears = pipeline.fold(Tick(moment(4_000)))
    assert (clears.alerts, clears.changed, groups.moved) == ([], True, True)
    again = build_pipeline("gw", settings())
    again.restore(codec.decode(codec.encode(pipeline.snapshot())))
    for each in (pipeline, again):
        (ended,) = each.fold(Tick(moment(6_000))).alerts
        assert (ended.event, ended.cause, ended.subject) == ("resolved", "time", "site=berlin, line=a/b")
