"""Which firing alerts a broker retains no more."""

import pytest

from edge_gateway.mqtt import retained_alerts
from edge_gateway.mqtt.retained_alerts import QUIET, RetainedAlerts


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_has_not_come_once_the_broker_is_quiet_is_told_once() -> None:
    clock = Clock()
    alerts = RetainedAlerts(clock)
    alerts.connecting()
    alerts.received("a")
    alerts.subscribed(["a", "b", "c"])
    clock.now = QUIET - 1
    alerts.received("c")
    clock.now = QUIET + 1
    assert not alerts.forgotten(), "c came a moment ago"
    clock.now = 2 * QUIET
    assert alerts.forgotten() == {"b"}
    assert not alerts.forgotten()


def test_what_an_earlier_connection_brought_says_nothing() -> None:
    clock = Clock()
    alerts = RetainedAlerts(clock)
    alerts.received("a")
    alerts.connecting()
    alerts.subscribed(["a"])
    clock.now = QUIET
    assert alerts.forgotten() == {"a"}


def test_nothing_is_told_before_the_subscriptions_or_if_too_many_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retained_alerts, "MOST_NOTED", 1)
    clock = Clock()
    alerts = RetainedAlerts(clock)
    clock.now = 5 * QUIET
    assert not alerts.forgotten()
    alerts.received("a")
    alerts.subscribed(["b"])
    clock.now = 9 * QUIET
    assert not alerts.forgotten()
