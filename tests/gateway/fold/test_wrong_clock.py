"""The fold while the gateway's wall clock is wrong and not sure: what is stored, and that a replay decides the same."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.series_names import SeriesNames
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records import codec
from edge_gateway.records.alerts import Transition
from edge_gateway.records.inputs import Batch, ClockConfirmed, Input, Moment, Reload, StateLost, Tick, Trim
from edge_gateway.records.store_effects import Kind
from edge_gateway.recovery.state import State
from edge_gateway.rules.files.load import load_rules
from fleet_wire import topics
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.fleet.imbalance import imbalance
from tests.gateway.fold.given import HOUR, START, birth, plain, settings

DEVICES = ("f1", "f2", "f3", "f4")
YEARS = 3 * 365 * 24 * HOUR
SILENCE_RULES = """
version: 1
groups:
- name: silence
  rules:
  - {alert: Silent, no_data: {after: 4s, metric: temperature, severity: warning}}
  - {alert: High, expr: temperature, above: 0.5, for: 3s, severity: warning}
"""


def unsure(ms: int, off: int, *, trusted: bool = True) -> Moment:
    """A moment of a clock that is `off` ms ahead; the time is at least the start of the test."""
    return Moment(START + ms + off, ms, trusted, START + ms, START + ms)


def said(device: str, seq: int, ts: int | None) -> tuple[str, bytes]:
    topic = topics.device_topic("berlin", device, topics.TELEMETRY)
    return topic, encode_telemetry(1, seq, None if ts is None else START + ts, {"temperature": 1.0})


def batch(at: Moment, *messages: tuple[str, bytes]) -> Batch:
    return Batch(at, [topic for topic, _ in messages], [payload for _, payload in messages])


def born(pipeline: Pipeline, off: int) -> None:
    pipeline.fold(batch(unsure(0, off), *(birth(device) for device in DEVICES)))


def test_no_reading_is_stamped_by_a_clock_that_lost_ten_hours() -> None:
    pipeline = build_pipeline("gw", settings())
    born(pipeline, -10 * HOUR)
    held: list[int] = []
    for seq, device in enumerate(DEVICES):
        effects = pipeline.fold(
            batch(unsure(seq, -10 * HOUR), said(device, 0, seq), said("clockless", seq, None))
        )
        held += effects.held
    assert held == [0, 1] * len(DEVICES)
    assert pipeline.admission.accounting.totals()["received"] == 0
    moment = unsure(5, -10 * HOUR)
    assert pipeline.admission.poll_clock(moment).verdict is False
    outvoted = unsure(6, -10 * HOUR, trusted=False)
    effects = pipeline.fold(batch(outvoted, *(said(device, 0, 1) for device in DEVICES)))
    assert list(effects.held) == []
    assert pipeline.admission.accounting.totals()["stamped"] == 0


def test_points_are_withheld_by_the_time_by_which_data_has_aged() -> None:
    pipeline = build_pipeline("gw", settings())
    names = SeriesNames(pipeline.registry)
    effects = pipeline.fold(batch(unsure(7, YEARS), said("f1", 0, 7)))
    stored = effects.for_store(names)
    assert (stored.at, stored.stamp.judging) == (START + 7 + YEARS, START + 7), "people see the wall time"
    effects = pipeline.fold(batch(Moment(START + 9, 9), said("f1", 1, 9)))
    assert effects.for_store(names).stamp == (START + 9, None)


def test_a_loss_in_a_life_years_ahead_is_moved_to_the_right_time_when_it_is_known() -> None:
    pipeline = build_pipeline("gw", settings())
    lost = pipeline.fold(StateLost(unsure(1_000, YEARS))).for_store(SeriesNames(pipeline.registry))
    assert (lost.frozen, lost.unsure) == (START + 1_000 + YEARS, START + 1_000)
    confirmed = ClockConfirmed(Moment(START + 61_000 + HOUR, 61_000, least=START + 61_000))
    assert pipeline.fold(confirmed).confirmed == (START + 61_000 + HOUR, START + 61_000)
    assert pipeline.completeness.since == START + 1_000 + HOUR
    unknown = pipeline.windows.ever.tiers[0].closed_unknown(
        np.array([START + HOUR - 9_000, START + HOUR + 9_000])
    )
    assert unknown.tolist() == [True, False]


@pytest.fixture
def silence(tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "rules.yaml"
    file.write_text(SILENCE_RULES)
    return load_rules(file).to_plain()


def doubtful(seed: int, rules: dict[str, Any]) -> list[Input]:
    """A fleet with and without clocks, one of them wrong, under a clock that is off and changes its standing."""
    chance = random.Random(seed)
    off = chance.choice((-10 * HOUR, YEARS, 0))
    born = batch(unsure(0, off), *(birth(device) for device in DEVICES))
    given: list[Input] = [Reload(unsure(0, off), rules), born]
    for step in range(120):
        ms = step * 700
        moment = unsure(ms, off, trusted=chance.random() < 0.8)
        if chance.random() < 0.05:
            moment = Moment(START + ms, ms)
        messages = [said(device, step, ms) for device in DEVICES if chance.random() < 0.7]
        messages += [said("wrong", step, ms + YEARS), said("clockless", step, None)]
        chance.shuffle(messages)
        given.append(msgspec.structs.replace(batch(moment, *messages), may_hold=chance.randrange(4)))
        if chance.random() < 0.2:
            given.append(Tick(moment))
        if chance.random() < 0.03:
            given.append(ClockConfirmed(moment))
    return given


@pytest.mark.parametrize("seed", range(6))
def test_a_replay_holds_refuses_and_stamps_the_same_messages(seed: int, silence: dict[str, Any]) -> None:
    given = doubtful(seed, silence)
    cut = random.Random(seed).randrange(len(given))
    state, saved, effects = State.new("gw", settings()), b"", list[Any]()
    for position, one in enumerate(given):
        if position == cut:
            saved = codec.encode(state.snapshot(), shuffle=True)
        found = state.pipeline.fold(one)
        effects.append((list(found.held), plain(found, state.pipeline)))
    again = State.new("gw", settings())
    again.restore(codec.decode(saved))
    for one, before in zip(
        msgspec.convert(codec.decode(codec.encode(given[cut:])), list[Input]), effects[cut:], strict=True
    ):
        found = again.pipeline.fold(one)
        assert (list(found.held), plain(found, again.pipeline)) == before
    assert codec.pack(again.pipeline.snapshot()) == codec.pack(state.pipeline.snapshot())
    assert imbalance(state.pipeline.admission.accounting) == []


def test_what_was_trimmed_in_a_life_years_ahead_does_not_withhold_the_windows_of_the_right_time() -> None:
    pipeline = build_pipeline("gw", settings())
    for seq in range(60):
        pipeline.fold(batch(unsure(seq * 1_000, YEARS), said("f1", seq, YEARS + seq * 1_000)))
    trim = Trim(unsure(60_000, YEARS), [START + YEARS + 30_000] * 2)
    effects = pipeline.fold(trim)
    assert (effects.cuts, effects.unsure) == (tuple(trim.cuts), START + 60_000)
    at = 120_000
    pipeline.fold(ClockConfirmed(Moment(START + at, at, least=START + at)))
    kinds = set()
    for seq in range(60):
        ms = at + seq * 1_000
        reborn = said("f1", 60 + seq, ms)
        effects = pipeline.fold(batch(Moment(START + ms, ms), *([birth("f1")] * (not seq)), reborn))
        kinds |= {closed.kind for closed in effects.windows}
    assert Kind.AGAIN in kinds
    assert Kind.GONE not in kinds


class TestHeardWithoutATime:
    """A device whose messages wait, or have no time and no room to wait, is heard: it is not silent."""

    @pytest.fixture
    def pipeline(self, silence: dict[str, Any]) -> Pipeline:
        """A fold with one reading of a device without a clock, taken in while the clock was right."""
        pipeline = build_pipeline("gw", settings(time={"allowed_lateness": "1s", "idle_close": "2s"}))
        pipeline.fold(Reload(Moment(START, 0), silence))
        pipeline.fold(batch(Moment(START, 0), said("clockless", 0, None)))
        return pipeline

    @staticmethod
    def heard(pipeline: Pipeline, seconds: range, *, may_hold: int = 100) -> list[Transition]:
        """The device sends one message a second, under a clock that is not believed; return what rules say."""
        transitions = []
        for second in seconds:
            ms = second * 1_000
            moment = unsure(ms, -HOUR, trusted=False)
            sent = msgspec.structs.replace(batch(moment, said("clockless", second, None)), may_hold=may_hold)
            for given in (sent, Tick(moment)):
                transitions += pipeline.fold(given).alerts
        return transitions

    @staticmethod
    def unheard(pipeline: Pipeline, seconds: range) -> list[Transition]:
        """Time passes, and nobody sends."""
        ticks = [Tick(unsure(second * 1_000, -HOUR, trusted=False)) for second in seconds]
        return [transition for tick in ticks for transition in pipeline.fold(tick).alerts]

    @pytest.mark.parametrize("may_hold", [100, 0])
    def test_it_is_silent_only_once_nothing_is_heard_of_it(self, pipeline: Pipeline, may_hold: int) -> None:
        found = self.heard(pipeline, range(1, 30), may_hold=may_hold)
        assert [transition for transition in found if transition.rule == "Silent"] == []
        assert "Silent" not in {each.rule for each in self.unheard(pipeline, range(30, 33))}
        assert "Silent" in {each.rule for each in self.unheard(pipeline, range(33, 34))}

    def test_no_wait_ends_while_nobody_knows_what_its_readings_say(self, pipeline: Pipeline) -> None:
        assert [each.state for each in pipeline.rules.active_alerts()] == ["pending"]
        assert self.heard(pipeline, range(1, 10)) == []

    def test_its_windows_stay_open_for_readings_that_wait(self, pipeline: Pipeline) -> None:
        self.heard(pipeline, range(1, 4))
        effects = pipeline.fold(batch(Moment(START + 4_000, 4_000), said("clockless", 1, None)))
        assert effects.late is None
        closed = [pipeline.fold(Tick(Moment(START + ms, ms))).windows for ms in (5_000, 6_000)]
        assert [[one.rows["count"].tolist() for one in windows if one.tier == 0] for windows in closed] == [
            [],
            [[2]],
        ]

    def test_it_is_not_retired(self, pipeline: Pipeline) -> None:
        pipeline.retire_after = 4_000
        self.heard(pipeline, range(1, 30))
        assert pipeline.registry.find("clockless") is not None
        assert pipeline.admission.describe(0)["last_seen"] == START + 29_000 - HOUR

    def test_one_of_which_no_reading_counts_yet_begins_with_the_first_that_does(
        self, pipeline: Pipeline
    ) -> None:
        moment = unsure(1_000, -HOUR, trusted=False)
        assert list(pipeline.fold(batch(moment, said("new", 0, None))).held) == [0]
        assert {each.subject for each in self.unheard(pipeline, range(2, 20))} == {"clockless"}
        assert pipeline.windows.newest(1) is None
        pipeline.fold(batch(Moment(START + 20_000, 20_000), said("new", 0, None)))
        assert pipeline.windows.newest(1) == START + 20_000
