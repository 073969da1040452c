"""What rules have seen, through the whole fold: readings out of order, of one time, old, and missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_gateway.fold.effects import Effects
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records.inputs import Input, Reload, Tick
from edge_gateway.rules.files.load import load_rules
from fleet_wire import control_messages, topics
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.fold.given import START, batch, moment, settings

Told = list[tuple[str, str]]


class Site:
    """A fold with rules, and one device of it; times in seconds since its start."""

    def __init__(self, place: Path, *rules: str, **changes: Any) -> None:
        file = place / "rules.yaml"
        lines = "\n".join(f"  - {rule}" for rule in rules)
        file.write_text(f"version: 1\ngroups:\n- name: g\n  rules:\n{lines}\n")
        self.pipeline: Pipeline = build_pipeline("gw", settings(**changes))
        self.pipeline.fold(Reload(moment(0), load_rules(file).to_plain()))
        self.seq = 0
        self.effects: list[Effects] = []

    def fold(self, given: Input) -> Told:
        effects = self.pipeline.fold(given)
        self.effects.append(effects)
        return [(alert.rule, alert.event) for alert in effects.alerts]

    def send(self, now: float, *, at: float | None = None, seq: int | None = None, **values: Any) -> Told:
        """Send a reading that was taken at `at`, by default now; the next seq by default."""
        self.seq, own = (self.seq + 1, self.seq) if seq is None else (max(self.seq, seq + 1), seq)
        taken = START + int((now if at is None else at) * 1000)
        topic = topics.device_topic("berlin", "d", topics.TELEMETRY)
        return self.fold(batch(int(now * 1000), (topic, encode_telemetry(1, own, taken, values))))

    def born(self, now: float, *metrics: str) -> Told:
        named = {metric: control_messages.MetricInfo() for metric in metrics}
        told = control_messages.Birth(type="probe", boot=1, metrics=named)
        topic = topics.device_topic("berlin", "d", topics.STATUS)
        return self.fold(batch(int(now * 1000), (topic, control_messages.encode_birth(told))))

    def wait(self, since: float, until: float) -> Told:
        """Let time pass by a tick a second."""
        found: Told = []
        for second in range(int(since) + 1, int(until) + 1):
            found += self.fold(Tick(moment(second * 1000)))
        return found

    def commands(self) -> list[str]:
        return [
            change.name for effects in self.effects for change in effects.commands if change.state == "queued"
        ]

    def notices(self) -> list[str]:
        return [alert.state for effects in self.effects for alert in effects.alerts if alert.notify]


# --- readings out of order


def test_readings_a_millisecond_older_than_the_last_do_not_stop_a_wait(tmp_path: Path) -> None:
    site = Site(tmp_path, "{alert: Hot, expr: t, above: 10, for: 10s}")
    found: Told = []
    for second in range(36):
        found += site.send(second, at=second if second % 4 != 3 else second - 1.001, t=50)
    assert found == [("Hot", "pending"), ("Hot", "firing")]


def test_the_first_reading_of_a_metric_counts_however_late_it_comes(tmp_path: Path) -> None:
    site = Site(tmp_path, "{alert: B, expr: b, above: 10}")
    site.send(1, seq=0, a=1)
    site.send(1.2, seq=2, a=1)
    assert site.send(1.3, at=1.1, seq=1, b=50) == [("B", "firing")]
    assert site.send(1.4, at=1.1, seq=3, b=60) == []
    assert site.send(2, b=1) == [("B", "resolved")]


def test_a_metric_that_always_comes_later_than_another_is_judged_like_any(tmp_path: Path) -> None:
    site = Site(
        tmp_path,
        "{alert: B, expr: b, above: 10, for: 10s}",
        '{alert: Mean, expr: "avg_over_time(b, 1m)", above: 10}',
        "{alert: Both, expr: a > 0 and b > 10, for: 10s}",
    )
    found: Told = []
    for second in range(100, 130):
        found += site.send(second, a=1)
        found += site.send(second + 0.5, at=second - 30, b=50)
    assert [one for one in found if one[1] == "firing"] == [
        ("Mean", "firing"),
        ("Both", "firing"),
        ("B", "firing"),
    ]


def test_a_reading_late_for_its_own_metric_changes_no_alert(tmp_path: Path) -> None:
    site = Site(tmp_path, "{alert: Hot, expr: t, above: 10}")
    assert site.send(100, t=50) == [("Hot", "firing")]
    assert site.send(101, at=70, t=0) == []
    assert site.send(102, t=50) == []


def test_a_range_holds_what_came_late(tmp_path: Path) -> None:
    site = Site(tmp_path, '{alert: Most, expr: "max_over_time(t, 1m)", above: 10}')
    site.send(100, t=1)
    assert site.send(101, at=70, t=50) == [], "late readings change no alert by themselves"
    assert site.send(102, t=1) == [("Most", "firing")]


def test_no_data_counts_from_the_newest_of_its_own_metric(tmp_path: Path) -> None:
    site = Site(tmp_path, "{alert: Silent, no_data: {after: 20s, metric: t}}")
    site.send(100, t=1)
    site.send(101, at=99.999, t=1)
    assert site.wait(101, 119) == []
    assert site.wait(119, 122) == [("Silent", "firing")]


# --- readings of one time


def test_of_readings_of_one_time_the_one_with_the_highest_seq_is_the_state(tmp_path: Path) -> None:
    site = Site(tmp_path, '{alert: Open, expr: door == "open", for: 5s}')
    site.send(10, seq=1, door="closed")
    assert site.send(10.1, at=10, seq=0, door="open") == []
    assert site.wait(10, 30) == []


def test_readings_of_one_time_are_applied_in_order_of_seq(tmp_path: Path) -> None:
    site = Site(tmp_path, "{alert: B, expr: b, above: 10}")
    site.send(10, b=1)
    assert site.send(10.1, at=10, b=50) == [("B", "firing")]
    assert site.send(10.2, at=10, seq=4, b=1) == [("B", "resolved")]
    assert site.send(10.2, at=10, seq=3, b=50) == [], "late"


# --- large numbers


@pytest.mark.parametrize("value", [1.7e12, 2.0**46, 1e300, -1e17])
def test_large_numbers_are_averaged(tmp_path: Path, value: float) -> None:
    site = Site(
        tmp_path,
        f'{{alert: Low, expr: "avg_over_time(m, 15m)", below: {min(value, 0) * 1.01}}}',
        f'{{alert: Right, expr: "avg_over_time(m, 15m)", above: {value - abs(value) * 0.001}}}',
    )
    found = [one for second in range(0, 1200, 10) for one in site.send(second, m=value)]
    assert found == [("Right", "firing")]


# --- silence


@pytest.mark.parametrize("value", ["open", True])
def test_silence_of_a_text_is_found(tmp_path: Path, value: Any) -> None:
    site = Site(tmp_path, "{alert: Silent, no_data: {after: 1m, metric: door}}")
    site.send(10, door=value)
    assert site.wait(10, 69) == []
    assert site.wait(69, 71) == [("Silent", "firing")]
    assert site.send(72, door=value) == [("Silent", "resolved")]


@pytest.mark.parametrize("metrics", [(), ("t",)])
def test_a_device_that_was_born_and_never_sent_is_silent(tmp_path: Path, metrics: tuple[str, ...]) -> None:
    site = Site(tmp_path, "{alert: Silent, no_data: {after: 1m, metric: t}}")
    site.born(10, *metrics)
    assert site.wait(10, 69) == []
    assert site.wait(69, 71) == [("Silent", "firing")]
    assert site.send(72, t=1) == [("Silent", "resolved")]


# --- old readings

PUMP = (
    "{alert: Hot, expr: t, above: 10, for: 0s, commands: "
    "[{name: pump_on, on: [firing], expires: 10m}, {name: pump_off, on: [resolved], expires: 10m}]}"
)


def test_what_an_old_reading_began_is_told_with_the_first_live_one(tmp_path: Path) -> None:
    site = Site(tmp_path, PUMP)
    assert site.send(1000, at=500, t=50) == [("Hot", "firing")]
    assert (site.notices(), site.commands()) == ([], [])
    for second in range(1001, 1013):
        site.send(second, t=50)
    assert (site.notices(), site.commands()) == (["firing"], ["pump_on"])


def test_what_an_old_reading_ended_is_told_with_the_first_live_one(tmp_path: Path) -> None:
    site = Site(tmp_path, PUMP)
    site.send(100, t=50)
    assert site.send(1000, at=500, t=0) == [("Hot", "resolved")]
    for second in range(1001, 1013):
        site.send(second, t=0)
    assert (site.notices(), site.commands()) == (["firing", "resolved"], ["pump_on", "pump_off"])


def test_what_an_old_reading_ends_is_switched_off_until_a_live_one_finds_otherwise(tmp_path: Path) -> None:
    site = Site(tmp_path, PUMP)
    site.send(100, t=50)
    site.send(1000, at=500, t=0)
    site.send(1001, t=50)
    site.send(1002, t=50)
    assert site.notices() == ["firing", "resolved", "firing"]
    assert site.commands() == ["pump_on", "pump_off", "pump_on"]


# --- waits


def test_a_wait_on_a_value_that_is_too_old_ends(tmp_path: Path) -> None:
    site = Site(tmp_path, "{alert: Hot, expr: t, above: 10, for: 1h}")
    assert site.send(100, t=12) == [("Hot", "pending")]
    assert site.wait(100, 4000) == [("Hot", "resolved")]
    assert site.send(4001, t=12) == [("Hot", "pending")]


def test_a_command_is_not_sent_on_a_reading_that_is_too_old_by_then(tmp_path: Path) -> None:
    site = Site(tmp_path, PUMP.replace("0s", "20s"), commands={"max_reading_age": "5s"})
    site.send(100, t=12)
    assert site.wait(100, 130) == [("Hot", "firing")]
    assert (site.notices(), site.commands()) == ([], [])
    site.send(131, t=12)
    assert (site.notices(), site.commands()) == (["firing"], ["pump_on"])
