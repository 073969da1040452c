"""What a run measures of itself."""

import json
import math
from dataclasses import replace

import pytest

from fleet_sim.devices.counters import Counters
from fleet_sim.runtime.measures import measures_of
from tests.sim.results import result


def test_connections_that_were_lost_are_counted_whether_they_came_back_or_not() -> None:
    found = measures_of(Counters(connections_lost=7), 2, 5.0, failed=1)
    assert (found["connect.lost"], found["connect.failed"]) == (7, 1)


def test_what_was_not_measured_is_no_measure() -> None:
    counters = Counters(published=10, connects=3, reconnects=1, lost=2)
    found = measures_of(counters, 2, 5.0, unacked=1, unsent=3)
    assert found["publish.rate"] == 2.0
    assert (found["devices.connected"], found["delivery.unacknowledged"], found["delivery.dropped"]) == (
        2,
        4,
        2,
    )
    assert not any(name.startswith(("publish.ack", "pacing.lag")) for name in found)
    counters.ack.add([2_000.0] * 9)
    found = measures_of(counters, 2, 5.0, unsent=3)
    assert found["publish.ack.max"] == 2.0
    assert found["publish.ack.p50"] == pytest.approx(2.0, rel=0.02)


def test_a_percentile_that_falls_on_a_message_without_puback_has_no_end() -> None:
    counters = Counters(published=10)
    counters.ack.add([2_000.0] * 9)
    found = measures_of(counters, 2, 5.0, unacked=1)
    assert found["publish.ack.p90"] == pytest.approx(2.0, rel=0.02)
    assert found["publish.ack.p95"] == found["publish.ack.max"] == math.inf
    ended = replace(result(), measures=found)
    assert json.loads(json.dumps(ended.summary(), allow_nan=False))["measures"]["publish.ack.max"] is None
