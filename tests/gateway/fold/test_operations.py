"""Silences and acknowledgements as inputs of the fold: noted in the history, the same in a replay, each with an end."""

from __future__ import annotations

from typing import Any

import pytest

from edge_gateway.fold.effects import Effects
from edge_gateway.fold.operations import selection_text
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records import codec
from edge_gateway.records.inputs import (
    Acknowledge,
    AddSilence,
    EndSilence,
    Forget,
    Input,
    Moment,
    Reload,
    Remind,
    Tick,
)
from fleet_wire import topics
from fleet_wire.control_messages import decode_alert
from tests.gateway.fold.given import START, batch, birth, moment, reading, settings


def silence(
    ms: int, *, lasts: int | None = 60_000, until: int = 60_000, commands: bool = False
) -> AddSilence:
    match = {"site": ["berlin"]}
    return AddSilence(moment(ms), match, START + until, lasts, "1m", commands, "anna", "defrosting")


WARM = [batch(0, birth("f1")), batch(1_000, reading("f1", 0, 0, temperature=-9.0))]
WARMER = batch(3_000, reading("f1", 1, 2_000, temperature=-8.0))


class Folded:
    """A fold with rules, and what it has led to."""

    def __init__(self, rules: dict[str, Any], *inputs: Input) -> None:
        self.pipeline = build_pipeline("gw", settings())
        self.number = 0
        for given in (Reload(moment(0), rules), *inputs):
            self.fold(given)

    def fold(self, given: Input) -> Effects:
        self.number += 1
        return self.pipeline.fold(given, number=self.number)


def sent(effects: Effects) -> list[str]:
    """What goes to the device: notices and commands."""
    return [one.topic for one in effects.outgoing if one.topic.endswith(topics.COMMAND)]


def events(effects: Effects) -> list[str]:
    return [f"{one.code}: {one.text}" for one in effects.for_store(_names(effects)).events]


def _names(_: Effects) -> Any:
    class NoNames:
        def new_series(self, _columns: Any) -> list[Any]:
            return []

        def new_texts(self, _columns: Any) -> list[Any]:
            return []

        def forget_texts(self, _codes: Any) -> None: ...

    return NoNames()


def test_a_silence_is_noted_and_stops_the_notice_but_not_the_retained_alert(rules: dict[str, Any]) -> None:
    folded = Folded(rules)
    added = folded.fold(silence(500))
    assert added.urgent
    assert added.changed
    assert events(added) == ["silence: silence 1 of site=berlin for 1m by anna: defrosting"]
    for given in WARM:
        folded.fold(given)
    effects = folded.fold(WARMER)
    assert [one.suppressed for one in effects.alerts] == [("silence 1",)]
    (alert,) = [one for one in effects.outgoing if one.retain]
    assert decode_alert(alert.payload).suppressed == ("silence 1",)
    assert len(sent(effects)) == 1


def test_its_end_is_journaled_noted_and_tells_what_still_fires_without_its_commands(
    rules: dict[str, Any],
) -> None:
    folded = Folded(rules, silence(500), *WARM, WARMER)
    before = folded.fold(Tick(moment(60_499)))
    assert not events(before)
    effects = folded.fold(Tick(moment(60_500)))
    assert effects.changed
    assert events(effects) == ["silence_ended: silence 1 is over"]
    assert [(one.event, one.cause) for one in effects.alerts] == [("released", "time")]
    assert len(sent(effects)) == 1
    assert not effects.commands
    assert not folded.fold(Tick(moment(60_750))).alerts


def test_one_that_mutes_nothing_ends_with_a_record_too(rules: dict[str, Any]) -> None:
    folded = Folded(rules, silence(500))
    effects = folded.fold(Tick(moment(60_500)))
    assert (effects.changed, effects.alerts) == (True, [])
    assert not folded.fold(Tick(moment(60_750))).changed


def test_an_operator_ends_one(rules: dict[str, Any]) -> None:
    folded = Folded(rules, silence(500, commands=True), *WARM, WARMER)
    effects = folded.fold(EndSilence(moment(5_000), 1, "bob"))
    assert events(effects) == ["silence_ended: silence 1 ended by bob"]
    assert [(one.event, one.cause) for one in effects.alerts] == [("released", "operator")]
    assert not events(folded.fold(EndSilence(moment(5_500), 1, "bob")))


def test_a_clock_that_nobody_confirmed_ends_none_early(rules: dict[str, Any]) -> None:
    folded = Folded(rules, silence(500, lasts=None))
    far = Moment(START + 10**9, 61_000, trusted=False, least=START + 59_000, monotonic=61_000)
    assert not events(folded.fold(Tick(far)))
    sure = Moment(START + 61_000, 61_000, least=START + 60_000, monotonic=61_000)
    assert events(folded.fold(Tick(sure)))


def test_an_acknowledgement_is_noted_and_told_with_the_alert(rules: dict[str, Any]) -> None:
    folded = Folded(rules, *WARM, WARMER)
    (alert,) = folded.pipeline.rules.firing()
    effects = folded.fold(Acknowledge(moment(5_000), alert.id, "anna", "on my way"))
    assert events(effects) == [f"acknowledged: TooWarm/f1 {alert.id} acknowledged by anna: on my way"]
    (told,) = effects.alerts
    assert (told.event, told.acked, told.notify, told.commands) == ("acknowledged", True, False, ())
    (retained,) = effects.outgoing
    assert (retained.retain, decode_alert(retained.payload).acked) == (True, True)
    assert not events(folded.fold(Acknowledge(moment(6_000), "unknown", "anna", "")))


def test_an_alert_that_ended_can_be_acknowledged_once(rules: dict[str, Any]) -> None:
    folded = Folded(rules, *WARM, WARMER)
    (alert,) = folded.pipeline.rules.firing()
    folded.fold(batch(9_000, reading("f1", 2, 8_000, temperature=-20.0)))
    given = Acknowledge(moment(9_500), alert.id, "anna", "")
    effects = folded.fold(given)
    assert events(effects) == [f"acknowledged: TooWarm/f1 {alert.id} acknowledged by anna"]
    assert not effects.alerts
    assert not events(folded.fold(given))


def test_a_forgotten_device_is_noted(rules: dict[str, Any]) -> None:
    folded = Folded(rules, *WARM)
    assert events(folded.fold(Forget(moment(2_000), "f1", None, "anna"))) == [
        "forgotten: f1 forgotten by anna"
    ]
    metric = Forget(moment(2_000), "f1", "temperature", "anna")
    assert events(folded.fold(metric)) == ["forgotten: temperature of f1 forgotten by anna"]


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_restart_at_any_place_leads_to_the_same(rules: dict[str, Any], cut: int) -> None:
    inputs: list[Input] = [
        silence(500),
        *WARM,
        WARMER,
        EndSilence(moment(5_000), 1, "bob"),
        silence(5_500, commands=True),
        batch(9_000, reading("f1", 2, 8_000, temperature=-20.0)),
        Tick(moment(70_000)),
        batch(71_000, reading("f1", 3, 71_000, temperature=-8.0)),
    ]
    whole = Folded(rules)
    parts = Folded(rules)
    for number, given in enumerate(inputs):
        if number == cut:
            parts.pipeline = _restored(parts.pipeline)
        one, other = whole.fold(given), parts.fold(given)
        assert (one.alerts, one.commands, one.events) == (other.alerts, other.commands, other.events)
        assert one.outgoing == other.outgoing
    assert codec.pack(whole.pipeline.rules.snapshot()) == codec.pack(parts.pipeline.rules.snapshot())


def _restored(pipeline: Pipeline) -> Pipeline:
    fresh = build_pipeline("gw", settings())
    fresh.restore(codec.decode(codec.encode(pipeline.snapshot())))
    return fresh


def test_a_selection_reads_as_it_is_written() -> None:
    assert selection_text({"site": ["berlin", "lyon"], "type": ["f*"]}) == "site=berlin,lyon type=f*"


def test_a_reminder_is_for_the_store_alone_and_the_same_in_a_replay(rules: dict[str, Any]) -> None:
    given = [*WARM, WARMER]
    folded, again = Folded(rules, *given), Folded(rules, *given)
    (alert,) = folded.pipeline.rules.firing()
    remind = Remind(moment(5_000), folded.pipeline.rules.firing_ids())
    for _ in range(2):
        effects, replayed = folded.fold(remind), again.fold(remind)
        (told,) = effects.alerts
        assert (told.event, told.id, told.since) == ("reminder", alert.id, alert.at)
        assert (effects.changed, effects.outgoing, effects.commands) == (True, [], [])
        assert replayed.alerts == effects.alerts
    assert codec.encode(folded.pipeline.snapshot()) == codec.encode(again.pipeline.snapshot())
    assert [one.event for one in folded.pipeline.rules.firing()] == ["firing"]


def test_a_reminder_of_what_has_ended_makes_no_record(rules: dict[str, Any]) -> None:
    folded = Folded(rules, *WARM)
    effects = folded.fold(Remind(moment(5_000), ["an alert that ended"]))
    assert (effects.changed, effects.alerts) == (False, [])
