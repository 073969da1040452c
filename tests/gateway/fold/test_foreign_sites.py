"""Sites that are not this gateway's: what comes of them, and what becomes of devices whose site left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_gateway.fold.effects import Effects
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.series_names import SeriesNames
from edge_gateway.fold.settings import FoldSettings, build_pipeline
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Moment, Tick
from edge_gateway.recovery.state import State
from edge_gateway.rules.files.load import load_rules
from edge_gateway.rules.language.ruleset import RuleSet
from fleet_wire import control_messages, topics
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.fleet.imbalance import imbalance
from tests.gateway.fold.given import RULES, START, batch, moment, settings


def owning(*sites: str) -> FoldSettings:
    return settings(gateway={"id": "gw", "sites": list(sites)})


def said(site: str, device: str, seq: int, ms: int, value: float) -> tuple[str, bytes]:
    topic = topics.device_topic(site, device, topics.TELEMETRY)
    return topic, encode_telemetry(1, seq, START + ms, {"temperature": value})


def born(site: str, device: str) -> tuple[str, bytes]:
    birth = control_messages.Birth(type="freezer", boot=1, next=0, floor=0)
    return topics.device_topic(site, device, topics.STATUS), control_messages.encode_birth(birth)


@pytest.fixture
def rules(tmp_path: Path) -> RuleSet:
    (tmp_path / "rules.yaml").write_text(RULES)
    return load_rules(tmp_path / "rules.yaml")


def started(rules: RuleSet, *sites: str) -> State:
    state = State.new("gw", owning(*sites))
    state.pipeline.rules.reload(rules)
    return state


def test_what_is_of_another_site_is_kept_apart_and_counted() -> None:
    pipeline = build_pipeline("gw", owning("aa"))
    ack = control_messages.encode_ack(control_messages.Ack(id="x", outcome="done"))
    odd = ("fleet/v1/bb/no level/telemetry", b"x")
    foreign = [born("bb", "f2"), said("bb", "f2", 0, 0, -5.0), ("fleet/v1/bb/f2/ack", ack), odd]
    effects = pipeline.fold(
        batch(0, foreign[0], born("aa", "f1"), *foreign[1:], said("aa", "f1", 0, 0, -5.0))
    )
    found = [(one.topic, one.payload, one.reason) for one in effects.quarantined]
    assert found == [(topic, payload, "foreign_site") for topic, payload in foreign]
    assert effects.foreign == [topic for topic, _ in foreign]
    assert pipeline.registry.find("f2") is None
    totals = pipeline.admission.accounting.totals()
    assert {name: totals[name] for name in ("received", "new", "quarantined", "qos0")} == {
        "received": 3, "new": 1, "quarantined": 2, "qos0": 0,
    }  # fmt: skip
    assert imbalance(pipeline.admission.accounting) == []
    assert pipeline.registry.refused == {"foreign_site": 4}


def test_qos_0_of_another_site_is_counted_as_such() -> None:
    pipeline = build_pipeline("gw", owning("aa"))
    topic, payload = said("bb", "f2", 0, 0, -5.0)
    pipeline.fold(Batch(moment(0), [topic, topic], [payload, payload], qos0=[1]))
    assert pipeline.admission.accounting.totals()["qos0"] == 1


def test_a_retained_status_that_is_cleared_elsewhere_leaves_nothing() -> None:
    pipeline = build_pipeline("gw", owning("aa"))
    assert not pipeline.fold(batch(0, (born("bb", "f2")[0], b""))).quarantined


@pytest.mark.parametrize("sites", [("+",), ("aa", "+")])
def test_a_gateway_of_every_site_knows_no_foreign_one(sites: tuple[str, ...]) -> None:
    pipeline = build_pipeline("gw", owning(*sites))
    assert not pipeline.fold(batch(0, said("anywhere", "f1", 0, 0, 1.0))).quarantined


def hot(state: State, until: int = 4) -> list[Effects]:
    """A device in each of two sites gets too warm, so that an alert fires and a command is on its way."""
    messages = [
        batch(1_000 * at, *(said(site, f"{site}-f", at, 1_000 * at, -5.0) for site in ("aa", "bb")))
        for at in range(until)
    ]
    return [state.pipeline.fold(batch(0, born("aa", "aa-f"), born("bb", "bb-f")))] + [
        state.pipeline.fold(one) for one in messages
    ]


def moved(state: State, *sites: str) -> None:
    """As a start does that finds other sites in the configuration."""
    state.take_over(owning(*sites))


def after(pipeline: Pipeline, first_ms: int) -> list[Effects]:
    return [pipeline.fold(Tick(moment(first_ms + 250 * step))) for step in range(8)]


def test_a_site_that_left_takes_all_that_was_open_with_it(rules: RuleSet) -> None:
    state = started(rules, "aa", "bb")
    hot(state)
    assert {order.device for order in state.pipeline.commands.unconfirmed()} == {"aa-f", "bb-f"}
    moved(state, "aa")
    assert [m.topic for m in state.pipeline.restart_messages() if m.topic.endswith("/command")] == [
        "fleet/v1/aa/aa-f/command"
    ]
    effects = after(state.pipeline, 4_000)
    ended = [(one.device, one.state, one.detail) for each in effects for one in each.commands]
    assert ended == [("bb-f", "unconfirmed", "its site is not this gateway's any more")]
    alerts = [(one.subject, one.state, one.cause) for each in effects for one in each.alerts]
    assert alerts == [("bb-f", "resolved", "retired")]
    told = [message.topic for each in effects for message in each.outgoing]
    receipt, *of_site = [topic for topic in told if "/bb/" in topic]
    assert receipt == "fleet/v1/bb/bb-f/receipt", "the other gateway need not ask for what is counted here"
    assert of_site == ["edge/v1/gw/alerts/bb/bb-f/TooWarm"] * 2
    rows = [(one.tier, _device(state, row)) for each in effects for one in each.windows for row in one.rows]
    assert sorted({tier for tier, device in rows if device == "bb-f"}) == [0, 1]
    assert {device for _, device in rows} == {"bb-f"}
    registry = state.pipeline.registry
    assert (registry.alive, registry.retired, registry.find("bb-f")) == (1, 1, None)
    assert [alert.subject for alert in state.pipeline.rules.firing()] == ["aa-f"]
    assert state.pipeline.admission.accounting.totals()["new"] == 8


def _device(state: State, row: Any) -> str:
    registry = state.pipeline.registry
    return registry.device_name[int(registry.series_device[int(row["series"])])]


def test_a_command_that_waits_for_a_device_of_the_site_is_never_sent(rules: RuleSet) -> None:
    state = started(rules, "aa", "bb")
    slow = msgspec.structs.replace(owning("aa", "bb"), per_device=(0, 60_000), total=(0, 60_000))
    state.take_over(slow)
    hot(state)
    assert len(state.pipeline.commands) == 2
    moved(state, "aa")
    effects = [state.pipeline.fold(batch(4_000, said("bb", "bb-f", 4, 4_000, -5.0)))]
    effects += after(state.pipeline, 4_000)
    states = [(one.device, one.state) for each in effects for one in each.commands if one.device == "bb-f"]
    assert states == [("bb-f", "expired")]


def test_a_device_that_moved_with_its_name_is_new_in_its_new_site(rules: RuleSet) -> None:
    state = started(rules, "aa")
    state.pipeline.fold(batch(0, said("aa", "f1", 0, 0, 1.0)))
    moved(state, "bb")
    after(state.pipeline, 1_000)
    effects = state.pipeline.fold(batch(5_000, said("bb", "f1", 1, 5_000, 1.0)))
    assert not effects.quarantined
    assert state.pipeline.registry.device_site[state.pipeline.registry.find("f1") or 0] == "bb"


def test_a_site_that_comes_back_before_its_devices_are_gone_keeps_them(rules: RuleSet) -> None:
    state = started(rules, "aa", "bb")
    hot(state)
    moved(state, "aa")
    moved(state, "aa", "bb")
    effects = state.pipeline.fold(
        batch(4_000, said("bb", "bb-f", 3, 3_000, -5.0), said("bb", "bb-f", 4, 4_000, -5.0))
    )
    assert not effects.quarantined
    assert state.pipeline.admission.accounting.totals()["duplicate"] == 1


def test_a_replay_judges_by_the_sites_that_were_in_force(rules: RuleSet) -> None:
    """The configuration of today must not change what was folded yesterday."""
    inputs: list[Any] = [batch(1_000, said("aa", "f", 0, 1_000, 1.0), said("bb", "g", 0, 1_000, 1.0))]
    inputs += [Tick(Moment(START + 2_000 + 250 * step, 2_000 + 250 * step)) for step in range(20)]
    state = started(rules, "aa", "bb")
    hot(state)
    moved(state, "aa")
    checkpoint = codec.decode(codec.encode(state.snapshot()))
    lived = [
        codec.pack(state.pipeline.fold(one).for_store(SeriesNames(state.pipeline.registry))) for one in inputs
    ]
    again = State.new("gw", owning("cc"))
    again.restore(checkpoint)
    replayed = [
        codec.pack(again.pipeline.fold(one).for_store(SeriesNames(again.pipeline.registry))) for one in inputs
    ]
    assert replayed == lived
    assert codec.pack(again.pipeline.snapshot()) == codec.pack(state.pipeline.snapshot())


def test_settings_of_a_checkpoint_without_sites_mean_every_site() -> None:
    plain = owning("aa").as_plain()
    del plain["sites"]
    assert FoldSettings.from_plain(plain).sites == ("+",)
