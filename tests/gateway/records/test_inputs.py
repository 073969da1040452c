"""Runs: within one, what a device says of itself stands before its readings."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from mqtt5 import PublishPacket, QoS

from edge_gateway.records.inputs import Moment, runs
from edge_gateway.service.engine import _batch

TOPICS = st.lists(
    st.sampled_from(
        [f"fleet/v1/s/{device}/{kind}" for device in "ab" for kind in ("telemetry", "status", "ack")]
    )
)


def test_births_ahead_of_their_devices_readings_need_no_cut() -> None:
    topics = [
        "fleet/v1/s/a/status",
        "fleet/v1/s/a/telemetry",
        "fleet/v1/s/b/status",
        "fleet/v1/s/b/telemetry",
    ]
    assert runs(topics) == [slice(0, 4)]


def test_a_birth_behind_its_devices_reading_begins_a_run() -> None:
    topics = [
        "fleet/v1/s/a/telemetry",
        "fleet/v1/s/b/status",
        "fleet/v1/s/a/status",
        "fleet/v1/s/a/telemetry",
    ]
    assert runs(topics) == [slice(0, 2), slice(2, 4)]


def test_a_birth_from_another_site_behind_its_devices_reading_begins_a_run() -> None:
    assert runs(["fleet/v1/town/a/telemetry", "fleet/v1/village/a/status"]) == [slice(0, 1), slice(1, 2)]


@given(TOPICS)
def test_runs_keep_the_order_and_no_status_follows_a_reading_of_its_device(topics: list[str]) -> None:
    cut = [topics[run] for run in runs(topics)]
    assert [topic for run in cut for topic in run] == topics
    for run in cut:
        for place, topic in enumerate(run):
            if topic.endswith("status"):
                assert topic.replace("status", "telemetry") not in run[:place]
    for before, after in pairwise(cut):
        assert after[0].endswith("status")
        assert after[0].replace("status", "telemetry") in before


def test_deliveries_of_qos_0_are_told_apart() -> None:
    qualities = (QoS.AT_LEAST_ONCE, QoS.AT_MOST_ONCE, QoS.AT_LEAST_ONCE, QoS.AT_MOST_ONCE)
    packets = [
        PublishPacket(
            topic="t", payload=b"", qos=qos, packet_id=number + 1 if qos is QoS.AT_LEAST_ONCE else None
        )
        for number, qos in enumerate(qualities)
    ]
    assert _batch(Moment(0, 0), packets).qos0 == [1, 3]
