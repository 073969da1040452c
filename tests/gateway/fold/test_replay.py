"""What a replay or a restart makes of the same inputs: the same effects, the same state."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import numpy as np
import pytest

from edge_gateway.fold.effects import Effects
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records import codec
from edge_gateway.records.closings import Closings
from edge_gateway.records.inputs import ClockUnsure, ClockUntrusted, Input, Reload, Tick, Undelivered
from edge_gateway.recovery.state import State
from fleet_wire import control_messages
from tests.gateway.fleet.imbalance import imbalance
from tests.gateway.fold.given import batch, moment, plain, reading, scenario, settings


def commands_sent(effects: Effects) -> list[control_messages.Command]:
    sent = (
        control_messages.decode_command(one.payload)
        for one in effects.outgoing
        if one.topic.endswith("/command")
    )
    return [command for command in sent if command.kind == "command"]


def test_a_refused_command_is_recorded_retried_and_the_same_in_a_replay(
    rules: dict[str, Any],
) -> None:
    hot = [
        batch(second * 1000, reading("f1", second, second * 1000, temperature=-9.0)) for second in range(4)
    ]
    state = State.new("gw", settings())
    fold = state.pipeline.fold
    begin: list[Input] = [Reload(moment(0), rules), *hot]
    effects = [fold(one) for one in begin]
    (command,) = [sent for one in effects for sent in commands_sent(one)]
    saved = codec.encode(state.snapshot(), shuffle=True)
    refused = Undelivered(moment(4_000), "f1", command.id, "not authorised", for_good=False)
    given: list[Input] = [
        refused,
        Undelivered(moment(4_100), "f1", "never heard of", "not authorised", for_good=True),
        *(Tick(moment(4_000 + 500 * step)) for step in range(1, 200)),
    ]
    led_to = [fold(one) for one in given]
    assert [(one.state, one.detail) for one in led_to[0].commands] == [("refused", "not authorised")]
    assert not led_to[1].changed
    again = [sent for one in led_to for sent in commands_sent(one)]
    assert {sent.id for sent in again} == {command.id}
    assert command.n is not None
    assert all(sent.n is not None and sent.n > command.n for sent in again)
    restored = State.new("gw", settings())
    restored.restore(codec.decode(saved))
    through_the_journal = msgspec.convert(codec.decode(codec.encode(given)), list[Input])
    replayed = [plain(restored.pipeline.fold(one), restored.pipeline) for one in through_the_journal]
    assert replayed == [plain(one, state.pipeline) for one in led_to]


def test_messages_that_a_restart_repeats_are_marked_doubtful(rules: dict[str, Any]) -> None:
    pipeline = build_pipeline("gw", settings())
    pipeline.fold(Reload(moment(0), rules))
    for second in range(4):
        pipeline.fold(batch(second * 1000, reading("f1", second, second * 1000, temperature=-9.0)))
    again = pipeline.restart_messages()
    assert [(one.topic.rpartition("/")[2], one.doubtful) for one in again] == [
        ("TooWarm", False),
        ("command", True),
    ]


@pytest.mark.parametrize("seed", range(4))
def test_a_replay_from_any_snapshot_gives_the_same_effects_and_state(
    rules: dict[str, Any], seed: int
) -> None:
    given: list[Input] = [Reload(moment(0), rules), *scenario(seed)]
    given += [ClockUnsure(moment(125_000)), Tick(moment(126_000)), ClockUntrusted(moment(130_000))]
    retiring = msgspec.structs.replace(settings(), retire_after=10_000) if seed % 2 else settings()
    state = State.new("gw", retiring)
    cut = random.Random(seed).randrange(len(given))
    saved = b""
    effects, closings = [], []
    for position, one in enumerate(given):
        if position == cut:
            saved = codec.encode(state.snapshot(), shuffle=True)
        made = state.pipeline.fold(one)
        effects.append(plain(made, state.pipeline))
        closings.append(made.closings)
    again = State.new("gw", settings())
    again.restore(codec.decode(saved))
    through_the_journal = msgspec.convert(codec.decode(codec.encode(given[cut:])), list[Input])
    recorded = msgspec.convert(codec.decode(codec.encode(closings[cut:])), list[Closings])
    replayed = [
        plain(again.pipeline.fold(one, left), again.pipeline)
        for one, left in zip(through_the_journal, recorded, strict=True)
    ]
    assert replayed == effects[cut:]
    assert codec.pack(again.pipeline.snapshot()) == codec.pack(state.pipeline.snapshot())
    assert imbalance(state.pipeline.admission.accounting) == []
    assert bool(state.pipeline.registry.retired) == bool(seed % 2)


def test_settings_can_change_between_two_lives(rules: dict[str, Any]) -> None:
    state = State.new("gw", settings())
    for one in [Reload(moment(0), rules), *scenario(9)][:100]:
        state.pipeline.fold(one)
    state.take_over(settings(time={"allowed_lateness": "2s", "idle_close": "5s"}))
    effects = state.pipeline.fold(batch(60_000, reading("f1", 10_000, 60_000, temperature=-18.0)))
    assert effects.changed
    assert np.all(state.pipeline.registry.series_device >= 0)
