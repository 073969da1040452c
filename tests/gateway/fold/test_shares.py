"""One device takes no more than its share of what the fold can remember, and what nobody uses makes room again."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.series_names import SeriesNames
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Input, Moment, Reload, Tick
from edge_gateway.records.store_effects import StoreEffects
from edge_gateway.recovery.settings import fold_settings
from edge_gateway.recovery.state import State
from edge_gateway.rules.files.load import load_rules
from fleet_wire import control_messages, topics
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.fleet.imbalance import imbalance

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
START = 1_760_000_000_000
RULES = """
version: 1
groups:
- name: cold
  rules:
  - {alert: TooWarm, expr: temperature, above: -10, severity: critical}
  - {alert: DoorOpen, expr: door == "open", severity: warning}
  - {alert: Mismatch, expr: mode != tag.line and temperature > -100, severity: warning}
  - {record: double, expr: temperature * 2}
"""


@pytest.fixture
def rules(tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    return load_rules(file).to_plain()


def fold(**limits: Any) -> State:
    config = {
        "mqtt": {"url": "mqtt://localhost"},
        "windows": [
            {"every": "5s", "bucket": "a", "keep": "30d"},
            {"every": "10s", "bucket": "b", "keep": "60d"},
        ],
        "time": {"allowed_lateness": "1s", "idle_close": "3s"},
        "limits": limits,
    }
    return State.new("gw", fold_settings(GatewayConfig.model_validate_json(msgspec.json.encode(config))))


def moment(ms: int) -> Moment:
    return Moment(START + ms, ms, monotonic=ms)


class Sender:
    """A device that numbers its messages."""

    def __init__(self, name: str, boot: int = 1) -> None:
        self.name, self.boot, self.seq = name, boot, 0

    def topic(self, kind: str = topics.TELEMETRY) -> str:
        return topics.device_topic("berlin", self.name, kind)

    def says(self, ms: int, further: Any = None, **values: Any) -> Batch:
        payload = encode_telemetry(self.boot, self.seq, START + ms, values, s=further)
        self.seq += 1
        return Batch(moment(ms), [self.topic()], [payload])

    def is_born(self, ms: int, metrics: dict[str, Any] | None = None, **tags: str) -> Batch:
        told = {name: control_messages.MetricInfo(**info) for name, info in (metrics or {}).items()}
        birth = control_messages.Birth(type="freezer", boot=self.boot, tags=tags, metrics=told, next=self.seq)
        return Batch(moment(ms), [self.topic(topics.STATUS)], [control_messages.encode_birth(birth)])


def bad(pipeline: Pipeline, device: str) -> dict[str, int]:
    number = pipeline.registry.find(device)
    assert number is not None
    found: dict[str, int] = pipeline.admission.describe(number)["bad"]
    return found


def counters(pipeline: Pipeline, device: str) -> dict[str, int]:
    number = pipeline.registry.find(device)
    assert number is not None
    assert imbalance(pipeline.admission.accounting) == []
    return pipeline.admission.accounting.of(number)


# --- shares


def test_a_device_with_ever_new_texts_harms_nobody_else(rules: dict[str, Any]) -> None:
    pipeline = fold().pipeline
    pipeline.fold(Reload(moment(0), rules))
    hostile = Sender("evil")
    for message in range(56):
        samples = [(k, {f"t{j}": f"{message}-{k}-{j}" for j in range(90)}) for k in range(1, 11)]
        pipeline.fold(hostile.says(10 * message, samples, temperature=20.0))
    assert pipeline.registry.strings.of_devices == 500
    assert counters(pipeline, "evil")["bad"] == 56 * 900 - 500
    assert counters(pipeline, "evil")["quarantined"] == 0
    assert counters(pipeline, "evil")["accepted"] == 56 + 500
    assert {why.partition(": ")[2] for why in bad(pipeline, "evil")} == {"too_many_texts"}
    effects = pipeline.fold(Sender("freezer").says(SECOND, temperature=50.0, door="open", note="a new text"))
    assert [(one.rule, one.state) for one in effects.alerts] == [
        ("TooWarm", "firing"),
        ("DoorOpen", "firing"),
    ]
    assert counters(pipeline, "freezer")["accepted"] == 3


def test_a_device_with_ever_new_metrics_harms_nobody_else(rules: dict[str, Any]) -> None:
    pipeline = fold().pipeline
    pipeline.fold(Reload(moment(0), rules))
    hostile = Sender("evil")
    for message in range(40):
        values = {f"m{message}_{j}": 1.0 for j in range(255)}
        pipeline.fold(hostile.says(10 * message, temperature=20.0, **values))
    assert pipeline.registry.table.held_by(0) == 1_000
    assert counters(pipeline, "evil")["accepted"] == 40 + 999
    assert bad(pipeline, "evil") == {"(other metrics): too_many_series": 40 * 255 - 999}
    values = {f"of_its_own_{number}": 1.0 for number in range(200)}
    effects = pipeline.fold(Sender("freezer").says(SECOND, temperature=50.0, **values))
    assert [one.rule for one in effects.alerts] == ["TooWarm"]
    assert counters(pipeline, "freezer")["accepted"] == 201


def test_a_full_bound_costs_new_values_and_nothing_else() -> None:
    pipeline = fold(series=8, strings=16, device_series=8).pipeline
    first, second = Sender("first"), Sender("second")
    pipeline.fold(first.says(0, **{f"m{number}": 1.0 for number in range(7)}))
    pipeline.fold(second.says(0, temperature=1.0, humidity=2.0))
    pipeline.fold(second.says(10, temperature=1.5, humidity=2.5))
    assert counters(pipeline, "second") == counters(pipeline, "second") | {"new": 2, "accepted": 2, "bad": 2}
    assert pipeline.registry.refused == {"too_many_series": 2}


def test_a_share_left_out_is_never_more_than_a_quarter_of_the_bound() -> None:
    settings = fold(series=100, strings=40).settings
    assert (settings.device_series, settings.device_strings) == (25, 10)
    with pytest.raises(
        ValueError, match="device_series: 101 for one device exceeds series: 100 for all of them"
    ):
        fold(series=100, device_series=101)


def test_a_text_under_the_name_of_a_derived_metric_is_a_bad_value(rules: dict[str, Any]) -> None:
    """The numbers that a rule derives must not be taken for codes of texts."""
    pipeline = fold().pipeline
    pipeline.fold(Reload(moment(0), rules))
    names, hostile, texts = SeriesNames(pipeline.registry), Sender("evil"), []
    for step in range(40):
        effects = pipeline.fold(hostile.says(step * SECOND, double=f"text {step}", temperature=-20.0 - step))
        texts += [text.text for text in effects.for_store(names).texts]
    assert bad(pipeline, "evil") == {"double: type": 39}
    assert texts == ["text 0"]


# --- what nobody uses


def life(state: State, given: list[Input]) -> list[StoreEffects]:
    names = SeriesNames(state.pipeline.registry)
    return [state.pipeline.fold(one).for_store(names) for one in given]


def quiet(begin: int, end: int, step: int = MINUTE) -> list[Input]:
    return [Tick(moment(ms)) for ms in range(begin, end, step)]


def test_texts_no_window_and_no_rule_holds_make_room(rules: dict[str, Any]) -> None:
    state = fold(strings=40, device_strings=10)
    registry, hostile = state.pipeline.registry, Sender("evil")
    life(state, [Reload(moment(0), rules), hostile.is_born(0, line="L1")])
    life(state, [hostile.says(n * 100, note=f"text {n}", mode="L1") for n in range(30)])
    assert registry.strings.held == {0: 10}
    assert sum(bad(state.pipeline, "evil").values()) == 21
    effects = life(state, quiet(MINUTE, 4 * MINUTE, 250))
    assert "text 8" in [text.text for one in effects for text in one.texts], "told before it went"
    gone = [code for one in effects for code in one.gone_texts]
    assert len(gone) == 9
    assert set(registry.strings.snapshot()["texts"]) == {"false", "true", "open", "L1"}, "of rules and tags"
    assert not state.pipeline.fold(hostile.says(4 * MINUTE, temperature=-20.0)).alerts, (
        "the mode is the line's"
    )
    fired = state.pipeline.fold(hostile.says(5 * MINUTE, mode="manual", temperature=-20.0, note="text 0"))
    assert [one.rule for one in fired.alerts] == ["Mismatch"]
    assert sum(bad(state.pipeline, "evil").values()) == 21


def test_a_series_without_a_value_for_long_makes_room() -> None:
    state = fold(series=40, device_series=20, retire_after="10h")
    registry, device = state.pipeline.registry, Sender("renamed")
    life(state, [device.says(0, **{f"old_{number}": 1.0 for number in range(17)})])
    life(state, [*quiet(MINUTE, HOUR), device.says(HOUR, old_1=1.0), *quiet(HOUR, HOUR + 5 * MINUTE)])
    assert registry.table.held_by(0) == 1, "four fifths of the share: an hour is long enough"
    assert [name for name in registry.metric_names if name] == ["old_1"]
    life(
        state, [*quiet(2 * HOUR, 9 * HOUR), device.says(9 * HOUR, new=1.0), *quiet(9 * HOUR, 11 * HOUR + 60)]
    )
    assert registry.table.held_by(0) == 2
    life(
        state, [device.says(11 * HOUR + MINUTE, new=1.0), *quiet(11 * HOUR + MINUTE, 11 * HOUR + 5 * MINUTE)]
    )
    assert [name for name in registry.metric_names if name] == ["new"], "with room to spare, retire_after is"


def test_invented_devices_make_room_after_a_day_and_those_that_were_born_do_not() -> None:
    state = fold(devices=10)
    honest = Sender("honest")
    life(
        state, [honest.is_born(0), honest.says(0, temperature=1.0), Sender("quiet").says(0, temperature=1.0)]
    )
    life(state, quiet(MINUTE, 25 * HOUR))
    assert state.pipeline.registry.alive == 2, "with room to spare, retire_after is long enough"
    life(state, [Sender(f"invented-{number}").says(25 * HOUR, t=1.0) for number in range(9)])
    life(state, quiet(25 * HOUR, 26 * HOUR))
    registry = state.pipeline.registry
    assert (registry.find("quiet"), registry.alive) == (None, 9)
    life(state, quiet(26 * HOUR, 51 * HOUR, HOUR))
    assert [name for name in registry.device_name if registry.find(name) is not None] == ["honest"]


def hostile_life(seed: int) -> tuple[list[Input], dict[tuple[str, str], Counter[int]]]:
    """Hours of devices that rename what they measure, say new texts, change kinds and tags; and what must be stored.

    Told by (device, metric): how many values in the windows that begin at a time, of an honest device.
    """
    chance = random.Random(seed)
    hostile = [Sender(f"evil-{number}") for number in range(3)]
    honest = Sender("honest")
    wanted: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    given: list[Input] = [honest.is_born(0, line="L1")]
    for step in range(1, 300):
        ms = step * MINUTE
        for one in hostile:
            era = step // chance.choice([20, 90])
            invented = {
                f"m{era}_{chance.randrange(12)}": chance.choice([1.5, f"text {step}", True]) for _ in range(6)
            }
            given.append(one.says(ms, **invented))
            if chance.random() < 0.1:
                one.boot, one.seq = one.boot + 1, 0
                given.append(one.is_born(ms, line=f"L{step}", metrics={f"m{era}_1": {"unit": "V"}}))
        values: dict[str, Any] = {"temperature": -20.0 + step / 8, "door": chance.choice(["open", "closed"])}
        given += [
            honest.says(ms + 40, **values),
            Tick(moment(ms + 5 * SECOND)),
            Tick(moment(ms + 15 * SECOND)),
        ]
        for metric in (*values, "double"):
            wanted["honest", metric][START + ms - ms % (5 * SECOND)] += 1
    return [*given, *quiet(300 * MINUTE, 301 * MINUTE, SECOND)], wanted


@pytest.mark.parametrize("seed", range(3))
def test_numbers_given_again_mean_what_the_store_was_told(rules: dict[str, Any], seed: int) -> None:
    state = fold(series=60, strings=40, retire_after="1h")
    given, wanted = hostile_life(seed)
    effects = life(state, [Reload(moment(0), rules), *given])
    named: dict[tuple[int, int], tuple[str, str]] = {}
    texts: dict[int, str] = {}
    found: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for one in effects:
        told = {(name.series, name.version): (name.device, name.metric) for name in one.series}
        again = {pair for pair in told.keys() & named.keys() if named[pair] != told[pair]}
        assert not again, "a journal is read without knowing what a number meant before"
        named |= told
        texts |= {text.code: text.text for text in one.texts}
        for closed in one.windows:
            pairs = zip(closed.rows["series"].tolist(), closed.versions.tolist(), strict=True)
            for pair, row in zip(pairs, closed.rows, strict=True):
                found[named[pair]][int(row["start"])] += int(row["count"]) if closed.tier == 0 else 0
        for states in one.states:
            pairs = zip(states.rows["series"].tolist(), states.versions.tolist(), strict=True)
            for pair, row in zip(pairs, states.rows, strict=True):
                said = texts[int(row["last"])]
                assert (said in {"open", "closed"}) == (named[pair] == ("honest", "door"))
                found[named[pair]][int(row["start"])] += states.tier == 0
    for pair, windows in wanted.items():
        assert found[pair] == windows
    table = state.pipeline.registry.table
    assert len(set(named.values())) > 1.3 * len(table), "numbers are given again"
    assert len({metric for _, metric in named.values()}) > 1.3 * sum(map(bool, table.metric_names))
    assert imbalance(state.pipeline.admission.accounting) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_replay_frees_the_same(rules: dict[str, Any], seed: int) -> None:
    given: list[Input] = [Reload(moment(0), rules), *hostile_life(seed)[0]]
    state = fold(series=60, strings=40, retire_after="1h")
    cut = random.Random(seed).randrange(len(given))
    changed: list[Input] = []
    for position, one in enumerate(given):
        if position == cut:
            saved, changed = codec.encode(state.snapshot(), shuffle=True), []
        before = (
            codec.pack(state.pipeline.snapshot()) if isinstance(one, Tick) and position % 50 == 0 else b""
        )
        effects = state.pipeline.fold(one)
        if effects.changed:
            changed.append(one)
        elif before:
            assert codec.pack(state.pipeline.snapshot()) == before, (
                "what is not journaled leaves nothing behind"
            )
    again = State.new("gw", state.settings)
    again.restore(codec.decode(saved))
    life(again, msgspec.convert(codec.decode(codec.encode(changed)), list[Input]))
    assert codec.pack(again.pipeline.snapshot()) == codec.pack(state.pipeline.snapshot())
