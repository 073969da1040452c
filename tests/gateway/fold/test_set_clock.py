"""The machine's wall clock is set while the gateway runs: what waits goes on by monotonic time."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.fold.effects import Effects
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records.alerts import CommandState
from edge_gateway.records.inputs import Batch, Moment, Reload, Tick
from edge_gateway.rules.files.load import load_rules
from fleet_wire import topics
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.fleet.imbalance import imbalance
from tests.gateway.fold.given import HOUR, START, settings

RULES = """
version: 1
groups:
- name: heat
  rules:
  - alert: TooHot
    expr: temperature
    above: 50
    clear: 45
    for: 5s
    severity: critical
    commands:
    - {name: off, on: [firing], expires: 10m, confirm: {within: 5s, retries: 1}}
"""
TOPIC = topics.device_topic("berlin", "oven", topics.TELEMETRY)


class Gateway:
    """A fold with these rules, and a device without a clock that measures every second."""

    def __init__(self, place: Path) -> None:
        (place / "rules.yaml").write_text(RULES)
        self.pipeline: Pipeline = build_pipeline("gw", settings(metrics={}))
        self.set_by = HOUR
        self.now = self.seq = 0
        self.effects: list[Effects] = []
        self.fold(Reload(self.moment(), load_rules(place / "rules.yaml").to_plain()))

    def moment(self) -> Moment:
        return Moment(START + self.now + self.set_by, self.now, monotonic=self.now)

    def fold(self, given: Batch | Tick | Reload) -> None:
        self.effects.append(self.pipeline.fold(given))

    def measure(self, seconds: int, temperature: float) -> None:
        for _ in range(seconds):
            self.now += 1_000
            payload = encode_telemetry(1, self.seq, None, {"temperature": temperature})
            self.seq += 1
            self.fold(Batch(self.moment(), [TOPIC], [payload]))
            self.fold(Tick(self.moment()))

    def take_told(self) -> list[str]:
        """States of alerts and commands since the last call."""
        effects, self.effects = self.effects, []
        told: list[str | CommandState] = []
        for one in effects:
            told += [alert.state for alert in one.alerts] + [change.state for change in one.commands]
        return list(map(str, told))


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    """Its clock is an hour ahead, and all is well."""
    gateway = Gateway(tmp_path)
    gateway.measure(10, 20.0)
    assert gateway.take_told() == []
    return gateway


@pytest.mark.parametrize("set_by", [0, 2 * HOUR, HOUR], ids=["back", "forward", "not at all"])
def test_an_alert_of_a_device_without_a_clock_fires_when_it_is_due(gateway: Gateway, set_by: int) -> None:
    gateway.set_by = set_by
    gateway.measure(5, 100.0)
    assert gateway.take_told() == ["pending"]
    gateway.measure(1, 100.0)
    assert gateway.take_told() == ["firing", "queued", "sent"]


@pytest.mark.parametrize("set_by", [0, 2 * HOUR, HOUR], ids=["back", "forward", "not at all"])
def test_a_command_is_sent_again_and_given_up_when_it_is_due(gateway: Gateway, set_by: int) -> None:
    gateway.measure(6, 100.0)
    assert gateway.take_told() == ["pending", "firing", "queued", "sent"]
    (sent,) = gateway.pipeline.commands.unconfirmed()
    gateway.set_by = set_by
    gateway.measure(4, 100.0)
    assert sent.attempts == 1
    gateway.measure(1, 100.0)
    assert sent.attempts == 2
    gateway.measure(5, 100.0)
    assert gateway.take_told() == ["unconfirmed"]


def test_windows_after_the_clock_was_set_back_hold_what_was_measured_then(gateway: Gateway) -> None:
    gateway.set_by = 0
    gateway.measure(30, 30.0)
    closed = [
        (int(row["start"]) - START, int(row["count"]))
        for one in gateway.effects
        for windows in one.windows
        if windows.tier == 0
        for row in windows.rows
    ]
    assert closed[:2] == [(HOUR + 5_000, 5), (HOUR + 10_000, 1)]
    assert closed[2:] == [(10_000, 4), (15_000, 5), (20_000, 5), (25_000, 5), (30_000, 5)]
    assert all(one.late is None for one in gateway.effects)
    assert imbalance(gateway.pipeline.admission.accounting) == []
    assert gateway.pipeline.admission.clocks.totals()["clock_steps"] == 1
