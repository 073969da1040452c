"""Drops for other clients are a notice while the broker's counter grows."""

from __future__ import annotations

import pytest

from edge_gateway.mqtt.broker_dropped import CLEAR_AFTER, BrokerDropped
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problem import Gravity
from edge_gateway.status.problems import Problems


class Watch:
    def __init__(self) -> None:
        self.at = 0.0
        self.counters, self.problems = Counters(), Problems(lambda: 0)
        self.dropped = BrokerDropped(lambda: self.at, self.counters, self.problems)

    @property
    def told(self) -> str:
        return next((one.text for one in self.problems), "")


def test_drops_before_this_process_are_not_reported() -> None:
    watch = Watch()
    watch.dropped.observe(b"730")
    watch.dropped.observe(b"730")
    assert not watch.told


@pytest.mark.problem("raises", "broker_dropped")
@pytest.mark.problem("clears", "broker_dropped")
def test_growth_raises_a_notice_that_clears_when_it_ends() -> None:
    watch = Watch()
    for count in (b"730", b"731", b"740"):
        watch.dropped.observe(count)
    assert "dropped 10 messages" in watch.told
    (problem,) = watch.problems
    assert problem.gravity is Gravity.NOTICE
    assert watch.counters.broker_dropped == 10
    watch.at += CLEAR_AFTER
    watch.dropped.expire()
    assert Problem.BROKER_DROPPED in watch.problems
    watch.dropped.observe(b"741")
    watch.at += CLEAR_AFTER
    watch.dropped.expire()
    assert Problem.BROKER_DROPPED in watch.problems
    watch.at += 1
    watch.dropped.expire()
    assert Problem.BROKER_DROPPED not in watch.problems
    watch.dropped.observe(b"742")
    assert "dropped 1 message," in watch.told


def test_a_restarted_broker_counts_from_zero() -> None:
    watch = Watch()
    watch.dropped.observe(b"730")
    watch.dropped.observe(b"0")
    assert not watch.told
    watch.dropped.observe(b"5")
    assert "dropped 5 messages" in watch.told


def test_a_payload_that_is_no_number_is_ignored() -> None:
    watch = Watch()
    watch.dropped.observe(b"1")
    for nonsense in (b"", b"-1", b"1.5", b"many", b"\xb2", "²".encode(), b"9" * 5_000, b"9" * 20):
        watch.dropped.observe(nonsense)
    assert not watch.told
    watch.dropped.observe(b"3")
    assert "dropped 2 messages" in watch.told
