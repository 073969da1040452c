"""A backtest leads to the transitions of a gateway that takes every message by itself and ticks all the time."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from edge_gateway.backtest.dry_fold import DryFold, dry_settings
from edge_gateway.backtest.player import MOST_SAMPLES, Player, by_time
from edge_gateway.backtest.readings import PastReadings, Sample
from edge_gateway.columns.frame import Frame
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records.alerts import Transition
from edge_gateway.records.inputs import Batch, Moment, Reload, Tick
from edge_gateway.rules.language.ruleset import RuleSet
from fleet_wire.control_messages import Birth, MetricInfo, encode_birth
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.backtest.weighed import START, readings, rules_of, series, settings

RULES = (
    "{alert: Plain, expr: t, above: 20, clear: 15}",
    "{alert: Waits, expr: t, above: 18, for: 25s}",
    "{alert: Counts, expr: t, above: 16, for: 3 readings}",
    "{alert: Keeps, expr: t, below: 5, keep_firing_for: 40s}",
    "{alert: Levels, expr: 'avg_over_time(t, 1m)', levels: {critical: {above: 16, for: 10s}, warning: {above: 12}}}",
    "{alert: Joined, expr: t > 12 and h < 50, for: 15s}",
    "{alert: Silent, no_data: {after: 90s, metric: t, severity: info}}",
    "{alert: Warm, expr: t, above: 14, warmup: 3m, no_data: {after: 2m, state: no_data}}",
    "{record: twice, expr: t * 2}",
    "{alert: Recorded, expr: twice, above: 38, for: 12s}",
)


def stream(seed: int) -> PastReadings:
    """Two devices for twelve minutes, with pauses, of values that wander across all limits."""
    draw = random.Random(seed)
    samples = []
    for device in ("d1", "d2"):
        at, value = START + draw.randrange(60_000), 10.0
        while at < START + 720_000:
            value = min(max(value + draw.gauss(0, 2.5), 0), 25)
            values = {"t": value} if draw.random() < 0.8 else {"h": draw.uniform(30, 70)}
            samples.append(Sample(at, device, values))
            at += draw.choice(
                (1_000, 5_000, 5_000, 10_000, 10_000, 25_000, 95_000 if draw.random() < 0.2 else 5_000)
            )
    return readings(*samples, units={"t": None, "h": None})


def live(given: PastReadings, rules: RuleSet) -> list[Transition]:
    """The transitions of a gateway: a batch for each message, and a tick every 500 ms."""
    pipeline = build_pipeline("gw", dry_settings(settings()))
    found: list[Transition] = []
    number = 0

    def moment(at: int) -> Moment:
        return Moment(at, at - given.start, monotonic=at - given.start)

    pipeline.fold(Reload(moment(given.start), rules.to_plain()))
    ticked, seqs = given.start, dict[str, int]()
    for sample in given.samples:
        while ticked + 500 < sample.ts:
            ticked += 500
            found += pipeline.fold(Tick(moment(ticked)), number=(number := number + 1)).alerts
        topic = f"fleet/v1/plant/{sample.device}"
        if sample.device not in seqs:
            facts = given.devices[sample.device]
            birth = Birth(
                type=facts.type, tags=facts.tags, metrics={name: MetricInfo() for name in facts.units}, boot=1
            )
            pipeline.fold(Batch(moment(sample.ts), [f"{topic}/status"], [encode_birth(birth)]))
        seq = seqs[sample.device] = seqs.get(sample.device, -1) + 1
        payload = encode_telemetry(1, seq, sample.ts, sample.m)
        batch = Batch(moment(sample.ts), [f"{topic}/telemetry"], [payload])
        found += pipeline.fold(batch, number=(number := number + 1)).alerts
    found += pipeline.fold(Tick(moment(given.end)), number=number + 1).alerts
    return found


def played(given: PastReadings, rules: RuleSet) -> list[Transition]:
    fold = DryFold(dry_settings(settings()), rules, given.start)
    Player(fold, given.devices).play(given.samples)
    return fold.transitions


def told(transitions: list[Transition]) -> list[tuple[object, ...]]:
    return sorted(
        (
            each.rule,
            each.subject,
            each.at,
            each.event,
            each.cause,
            each.state,
            each.level,
            str(each.value),
            each.seq,
        )
        for each in transitions
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_same_transitions_as_live(seed: int, tmp_path: Path) -> None:
    rules, given = rules_of(tmp_path, *RULES), stream(seed)
    expected = told(live(given, rules))
    assert told(played(given, rules)) == expected
    assert len({rule for rule, *_ in expected}) >= 6


def test_quiet_readings_are_evaluated_many_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = readings(*series([10.0] * 5_000, every=1_000))
    fold = DryFold(
        dry_settings(settings()), rules_of(tmp_path, "{alert: A, expr: t, above: 20, for: 1m}"), START
    )
    player = Player(fold, given.devices)
    taken: list[int] = []
    take = player._take

    def watched(frame: Frame, begin: int, end: int) -> list[Transition]:
        taken.append(end - begin)
        return take(frame, begin, end)

    monkeypatch.setattr(player, "_take", watched)
    player.play(given.samples)
    assert len(taken) < 20
    assert sum(taken) == 5_000 > MOST_SAMPLES


def test_what_the_configuration_refuses_is_counted(tmp_path: Path) -> None:
    given = readings(*series([10.0, 99.0, -200.0, 11.0]))
    strict = settings(metrics={"t": {"range": [0, 50], "missing": [-200]}})
    fold = DryFold(dry_settings(strict), rules_of(tmp_path, "{alert: A, expr: t, above: 20}"), START)
    player = Player(fold, given.devices)
    player.play(given.samples)
    assert (player.refused, fold.transitions) == (2, [])


def test_samples_of_one_time_stay_together() -> None:
    samples = [Sample(1, "a", {}), Sample(1, "b", {}), Sample(2, "a", {})]
    assert list(by_time(samples)) == [samples[:2], samples[2:]]
    assert list(by_time([])) == []
