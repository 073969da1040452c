"""The whole fold: readings in, windows, alerts and commands out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.series_names import SeriesNames
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Moment, Reload, StateLost, Tick
from edge_gateway.records.store_effects import Kind
from edge_gateway.rules.files.load import load_rules
from fleet_wire import control_messages, topics
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.fleet.imbalance import imbalance
from tests.gateway.fold.given import HOUR, START, batch, birth, moment, reading, settings


def test_readings_become_windows_of_every_tier_with_their_tags(rules: dict[str, Any]) -> None:
    pipeline = build_pipeline("gw", settings())
    pipeline.fold(Reload(moment(0), rules))
    pipeline.fold(batch(0, birth("f1", line="L1")))
    found: dict[int, list[Any]] = {0: [], 1: []}
    for second in range(30):
        effects = pipeline.fold(
            batch(second * 1000, reading("f1", second, second * 1000, temperature=-20.0 + second / 8))
        )
        for closed in effects.windows:
            found[closed.tier].extend(zip(closed.rows, closed.versions, strict=True))
    base = [row for row, _ in found[0] if _metric(pipeline, row) == "temperature"]
    assert [int(row["count"]) for row in base[:4]] == [5, 5, 5, 5]
    assert base[0]["first"] == -20.0
    assert base[0]["last"] == -19.5
    coarse = [row for row, _ in found[1] if _metric(pipeline, row) == "temperature"]
    assert [int(row["count"]) for row in coarse[:2]] == [10, 10]
    derived = [row for row, _ in found[0] if _metric(pipeline, row) == "double"]
    assert [float(row["min"]) for row in derived[:2]] == [-40.0, -38.75]
    assert {pipeline.registry.tags_of(int(version)).tags["line"] for _, version in found[0]} == {"L1"}


def _metric(pipeline: Pipeline, row: Any) -> str:
    return pipeline.registry.metric_names[int(pipeline.registry.series_metric[int(row["series"])])]


def test_an_alert_fires_commands_and_resolves(rules: dict[str, Any]) -> None:
    pipeline = build_pipeline("gw", settings())
    pipeline.fold(Reload(moment(0), rules))
    pipeline.fold(batch(0, birth("f1")))
    sent: list[Any] = []
    alerts: list[tuple[int, str]] = []
    for second in range(8):
        value = -9.0 if second >= 2 else -18.0
        effects = pipeline.fold(batch(second * 1000, reading("f1", second, second * 1000, temperature=value)))
        alerts += [(second, one.state) for one in effects.alerts]
        sent += [message for message in effects.outgoing if message.topic.endswith("/command")]
    assert alerts == [(2, "pending"), (4, "firing")]
    notice, command = (control_messages.decode_command(message.payload) for message in sent[:2])
    kinds = {notice.kind: notice, command.kind: command}
    assert kinds["alert"].n is None
    assert kinds["command"].name == "compressor"
    assert kinds["command"].n == START + 4000
    assert kinds["command"].alert == kinds["alert"].alert
    topic = topics.device_topic("berlin", "f1", topics.ACK)
    ack = control_messages.encode_ack(
        control_messages.Ack(id=kinds["command"].id, outcome="done", ts=START + 5000)
    )
    done = pipeline.fold(batch(8_000, (topic, ack)))
    assert [event.state for event in done.commands] == ["done"]
    last = pipeline.fold(batch(9_000, reading("f1", 9, 9_000, temperature=-20.0)))
    assert [one.state for one in last.alerts] == ["resolved"]
    retained = [message for message in last.outgoing if "/alerts/" in message.topic]
    assert retained[-1].retain
    assert not retained[-1].payload


def test_the_longest_alert_and_command_a_rule_may_ask_for_can_be_read(tmp_path: Path) -> None:
    labels = {f"label_{number}": "{{ tags.line }}" * 60 for number in range(32)}
    annotations = {f"note_{number}": "{{ labels.label_0 }}" * 50 for number in range(16)}
    commands = [{"name": "fan", "args": {f"a{number}": "ä" * 60 for number in range(64)}}]
    alert = {
        "alert": "A" * 64,
        "expr": "temperature",
        "above": 0,
        "severity": "critical",
        "labels": labels,
        "annotations": annotations,
        "commands": commands,
    }
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"version": 1, "groups": [{"name": "g" * 64, "rules": [alert]}]}))
    pipeline = build_pipeline("gw", settings())
    pipeline.fold(Reload(moment(0), load_rules(file).to_plain()))
    device = "d" * 64
    pipeline.fold(batch(0, birth(device, line="\N{SNOWFLAKE}" * 128)))
    effects = pipeline.fold(batch(1_000, reading(device, 0, 1_000, temperature=1.0)))
    (retained,) = (message for message in effects.outgoing if "/alerts/" in message.topic)
    told = control_messages.decode_alert(retained.payload)
    assert set(told.labels.values()) == {"\N{SNOWFLAKE}" * 166}
    assert set(told.annotations.values()) == {"\N{SNOWFLAKE}" * 666}
    payloads = [message.payload for message in effects.outgoing if message.topic.endswith("/command")]
    sent = list(map(control_messages.decode_command, payloads))
    assert [one.kind for one in sent] == ["alert", "command"]
    assert all(one.alert == told for one in sent)


def test_a_clock_that_steps_back_within_a_batch_is_followed_as_between_batches(rules: dict[str, Any]) -> None:
    told = []
    before = [reading("f1", seq, 600_000 + seq * 1000, temperature=-18.0) for seq in range(2)]
    after = [reading("f1", 2 + seq, 10_000 + seq * 1000, temperature=-5.0) for seq in range(8)]
    for cuts in ([after[2:]], [after[2:3], after[3:]], [[*after[2:5]], after[5:]]):
        pipeline = build_pipeline("gw", settings())
        pipeline.fold(Reload(moment(0), rules))
        found = [pipeline.fold(batch(700_000, *before))]
        found += [pipeline.fold(batch(701_000 + 1_000 * at, after[at])) for at in range(2)]
        found += [pipeline.fold(batch(703_000, *messages)) for messages in cuts]
        told.append([(one.state, one.at) for effects in found for one in effects.alerts])
        assert pipeline.windows.newest(0) == START + 17_000
    assert told[0] == [("pending", START + 12_000), ("firing", START + 14_000)]
    assert told[1] == told[2] == told[0]


def test_silence_closes_windows_and_counts_only_while_listening() -> None:
    pipeline = build_pipeline("gw", settings())
    pipeline.fold(batch(0, birth("f1"), reading("f1", 0, 0, temperature=-18.0)))
    assert not pipeline.fold(Tick(Moment(START + 60_000, 2_900))).windows
    effects = pipeline.fold(Tick(Moment(START + 60_250, 3_250)))
    assert effects.changed
    assert [int(row["count"]) for closed in effects.windows if closed.tier == 0 for row in closed.rows] == [1]


def test_a_tick_without_effect_changes_nothing() -> None:
    pipeline = build_pipeline("gw", settings())
    pipeline.fold(batch(0, birth("f1"), reading("f1", 0, 0, temperature=-18.0)))
    pipeline.fold(Tick(moment(5_000)))
    before = codec.pack(pipeline.snapshot())
    effects = pipeline.fold(Tick(moment(5_250)))
    assert not effects.changed
    assert codec.pack(pipeline.snapshot()) == before


def test_a_late_reading_goes_to_the_store_and_never_to_the_rules(rules: dict[str, Any]) -> None:
    pipeline = build_pipeline("gw", settings())
    pipeline.fold(Reload(moment(0), rules))
    for second in (0, 20, 40):
        pipeline.fold(batch(second * 1000, reading("f1", second, second * 1000, temperature=-18.0)))
    effects = pipeline.fold(batch(41_000, reading("f1", 3, 3_000, temperature=50.0)))
    assert not effects.alerts
    assert effects.late is not None
    assert effects.late.ts.tolist() == [START + 3_000, START + 3_000]
    assert pipeline.admission.accounting.totals()["late_merged"] == 1


def test_a_device_silent_for_too_long_is_retired_and_its_number_given_to_another(
    rules: dict[str, Any],
) -> None:
    pipeline = build_pipeline("gw", settings(limits={"retire_after": "1h"}))
    pipeline.fold(Reload(moment(0), rules))
    pipeline.fold(batch(0, birth("f1", line="L1")))
    for second in range(5):
        pipeline.fold(batch(second * 1000, reading("f1", second, second * 1000, temperature=-5.0)))
    assert [alert.subject for alert in pipeline.rules.firing()] == ["f1"]
    for ms in (10_000, 20_000, 60_000, HOUR + 4_000):
        pipeline.fold(Tick(moment(ms)))
    assert pipeline.registry.alive == 1
    gone = pipeline.fold(Tick(moment(HOUR + 4_001)))
    assert gone.changed
    assert [(alert.subject, alert.state, alert.cause) for alert in gone.alerts] == [
        ("f1", "resolved", "retired")
    ]
    assert (pipeline.registry.alive, pipeline.registry.retired) == (0, 1)
    assert not pipeline.fold(Tick(moment(HOUR + 5_000))).changed
    now, told = HOUR + 10_000, SeriesNames(pipeline.registry)
    effects = [pipeline.fold(batch(now, birth("f2", line="L2")))]
    for second in range(12):
        ms = now + second * 1000
        effects.append(pipeline.fold(batch(ms, reading("f2", second, ms, temperature=-5.0 - second % 2))))
    assert pipeline.registry.find("f2") == 0
    stored = [one.for_store(told) for one in effects]
    named = {(name.device, name.metric, name.tags["line"]) for one in stored for name in one.series}
    assert named == {("f2", "temperature", "L2"), ("f2", "double", "L2")}
    (first, *_) = [alert for one in effects for alert in one.alerts if alert.state == "firing"]
    assert (first.subject, first.at) == ("f2", START + now + 2_000), "its own two seconds"
    assert pipeline.admission.accounting.totals()["new"] == 5 + 12
    assert imbalance(pipeline.admission.accounting) == []


def test_no_device_is_retired_while_it_has_open_windows() -> None:
    pipeline = build_pipeline("gw", msgspec.structs.replace(settings(), retire_after=1_000))
    pipeline.fold(batch(0, reading("f1", 0, 0, temperature=-20.0)))
    effects = [pipeline.fold(Tick(moment(ms))) for ms in range(500, 30_000, 500)]
    closed = [
        (window.tier, int(row["count"])) for one in effects for window in one.windows for row in window.rows
    ]
    assert closed == [(0, 1), (1, 1)]
    assert pipeline.registry.alive == 0


def test_windows_that_began_before_the_state_was_lost_are_partial() -> None:
    pipeline = build_pipeline("gw", settings())
    pipeline.fold(StateLost(moment(7_000)))
    closed = []
    for second in range(6, 30):
        closed += pipeline.fold(
            batch(second * 1000, reading("f1", second, second * 1000, temperature=1.0))
        ).windows
    starts = {
        (one.kind == Kind.PARTIAL, int(row["start"]) - START)
        for one in closed
        if one.tier == 0
        for row in one.rows
    }
    assert starts == {(True, 5_000), (False, 10_000), (False, 15_000), (False, 20_000)}


def test_without_a_trusted_clock_messages_without_a_time_are_held() -> None:
    pipeline = build_pipeline("gw", settings())
    topic, payload = reading("f1", 1, 1000, temperature=1.0)
    stampless = encode_telemetry(1, 0, None, {"temperature": 2.0})
    untrusted = Moment(5_000, 10, trusted=False)
    effects = pipeline.fold(Batch(untrusted, [topic, topic], [stampless, payload]))
    assert list(effects.held) == [0]
    assert pipeline.admission.accounting.totals()["received"] == 1


def test_births_wills_and_cleared_statuses_say_whether_a_device_is_online() -> None:
    pipeline = build_pipeline("gw", settings())
    status = topics.device_topic("berlin", "f1", topics.STATUS)
    will = control_messages.encode_death(control_messages.Death())
    told: list[bool | None] = []
    for second, message in enumerate([birth("f1"), (status, will), birth("f1"), (status, b"")]):
        assert pipeline.fold(batch(second * 1_000, message)).quarantined == []
        told.append(pipeline.registry.presence.online(0))
    assert told == [True, False, True, None]


def test_a_birth_that_finds_no_room_is_quarantined() -> None:
    pipeline = build_pipeline("gw", settings(limits={"devices": 1}))
    effects = pipeline.fold(batch(0, birth("f1"), birth("f2")))
    assert [one.topic for one in effects.quarantined] == ["fleet/v1/berlin/f2/status"]
    assert pipeline.registry.find("f2") is None


def test_malformed_messages_are_quarantined_with_their_reason() -> None:
    pipeline = build_pipeline("gw", settings())
    good, payload = reading("f1", 0, 0, temperature=1.0)
    status = topics.device_topic("berlin", "f1", topics.STATUS)
    ack = topics.device_topic("berlin", "f1", topics.ACK)
    effects = pipeline.fold(
        batch(
            0,
            (good, b"\xc1"),
            (status, b"\x00"),
            (ack, b"?"),
            ("fleet/v1/x/telemetry", payload),
            (good, payload),
        )
    )
    assert [(one.topic, bool(one.reason)) for one in effects.quarantined] == [
        (status, True),
        (ack, True),
        (good, True),
        ("fleet/v1/x/telemetry", True),
    ]
    assert imbalance(pipeline.admission.accounting) == []


def test_readings_of_messages_that_are_not_known_go_to_the_store_apart_and_to_no_window() -> None:
    pipeline = build_pipeline("gw", settings())
    names = SeriesNames(pipeline.registry)
    born = [
        control_messages.encode_birth(control_messages.Birth(type="freezer", boot=boot)) for boot in range(9)
    ]
    topic = topics.device_topic("berlin", "f1", topics.STATUS)
    pipeline.fold(batch(0, reading("f1", 0, 1_000, temperature=1.0)))
    for payload in born:
        pipeline.fold(batch(0, (topic, payload)))
    effects = pipeline.fold(batch(2_000, reading("f1", 0, 1_000, temperature=1.0, door="open")))
    assert effects.not_known is not None
    assert (effects.not_known.ts.tolist(), effects.not_known.value.tolist()) == ([START + 1_000], [1.0])
    assert (effects.not_known.tiers.tolist(), effects.late, effects.windows) == ([0], None, [])
    assert [name.metric for name in effects.for_store(names).series] == ["temperature"]
    totals = pipeline.admission.accounting.totals()
    assert (totals["accepted"], totals["not_known"], totals["values_not_known"]) == (1, 1, 2)


def test_readings_of_one_time_that_no_window_takes_are_told_apart_however_they_come() -> None:
    """Messages that are not known and have no time get that of their batch."""
    numbered = []
    for batches in ([range(12)], [range(5), range(5, 12)]):
        pipeline = build_pipeline("gw", settings())
        topic = topics.device_topic("berlin", "f1", topics.STATUS)
        pipeline.fold(batch(0, *(reading("f1", seq, 1_000, temperature=1.0) for seq in range(12))))
        for boot in range(9):
            birth = control_messages.Birth(type="freezer", boot=boot)
            pipeline.fold(batch(0, (topic, control_messages.encode_birth(birth))))
        told = [
            pipeline.fold(
                batch(2_000, *(reading("f1", seq, 1_000, temperature=1.0) for seq in seqs))
            ).not_known
            for seqs in batches
        ]
        numbered.append([number for one in told if one is not None for number in one.nth.tolist()])
    assert len(set(numbered[0])) == 12
    assert numbered[0] == numbered[1]


def test_a_flood_of_late_readings_is_merged_up_to_the_device_s_share() -> None:
    """One device sends newest first what it kept; the rest of the fleet's late readings are none of its business."""
    share = 16
    pipeline = build_pipeline("gw", msgspec.structs.replace(settings(), late_share=share))
    for at in range(0, 200_000, 10_000):
        live = [reading(device, 100 + at // 10_000, at, temperature=1.0) for device in ("flood", "other")]
        pipeline.fold(batch(at, *live))
    pipeline.fold(
        batch(
            HOUR,
            reading("flood", 1_000, HOUR, temperature=1.0),
            reading("other", 1_000, HOUR, temperature=1.0),
        )
    )
    pipeline.fold(Tick(moment(HOUR)))
    late = [reading("flood", 2 + n, 60_000 + n * 1_000, temperature=float(n)) for n in range(40)]
    effects = pipeline.fold(batch(HOUR, *late, reading("other", 2, 60_000, temperature=2.0)))
    assert effects.late is not None
    assert effects.late.tiers.astype(bool).tolist() == [True] * share + [False] * (40 - share) + [True]
    totals = pipeline.admission.accounting.totals()
    assert (totals["late_merged"], totals["too_late"]) == (share + 1, 40 - share)
    assert imbalance(pipeline.admission.accounting) == []
    closed = [one for one in pipeline.windows.drain().numbers if one.tier == 1]
    counted = sum(
        int(row["count"]) for one in closed for row in one.rows if 50_000 <= row["start"] - START < HOUR
    )
    assert counted <= share + 1, "no tier takes what the base refuses"
