"""The fold while the gateway's wall clock is wrong and not sure: what is stored, and that a replay decides the same."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import numpy as np
import pytest

from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.series_names import SeriesNames
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, ClockConfirmed, Input, Moment, StateLost, Tick, Trim
from edge_gateway.records.store_effects import Kind
from edge_gateway.recovery.state import State
from fleet_wire import topics
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.fleet.imbalance import imbalance
from tests.gateway.fold.given import HOUR, START, birth, plain, settings

DEVICES = ("f1", "f2", "f3", "f4")
YEARS = 3 * 365 * 24 * HOUR


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
    assert effects.for_store(names).at == START + 7
    effects = pipeline.fold(batch(Moment(START + 9, 9), said("f1", 1, 9)))
    assert effects.for_store(names).at == START + 9


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


def doubtful(seed: int) -> list[Input]:
    """A fleet with and without clocks, one of them wrong, under a clock that is off and changes its standing."""
    chance = random.Random(seed)
    off = chance.choice((-10 * HOUR, YEARS, 0))
    given: list[Input] = [batch(unsure(0, off), *(birth(device) for device in DEVICES))]
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
def test_a_replay_holds_refuses_and_stamps_the_same_messages(seed: int) -> None:
    given = doubtful(seed)
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
