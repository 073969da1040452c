"""Inputs survive the journal; within a run of deliveries no status comes after its device's readings."""

from __future__ import annotations

from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.records import codec
from edge_gateway.records.inputs import (
    Batch,
    ClockUnsure,
    ClockUntrusted,
    Forget,
    Input,
    Moment,
    Reload,
    StateLost,
    Tick,
    Undelivered,
    runs,
)

TOPICS = st.lists(
    st.sampled_from(
        [f"fleet/v1/s/{device}/{kind}" for device in "ab" for kind in ("telemetry", "status", "ack")]
    )
)


def test_every_input_comes_back_from_the_journal_as_it_was() -> None:
    now = Moment(5, 7, trusted=False)
    inputs: list[Input] = [
        Batch(now, ["t"], [b"\xff"], qos0=[0], again=[0]),
        Tick(now),
        Reload(now, {"format": 1, "rules": []}),
        ClockUntrusted(now),
        ClockUnsure(now),
        StateLost(now),
        Undelivered(now, "frz-1", "c1", "too large", for_good=True),
        Forget(now, "frz-1", "temperature"),
    ]
    assert msgspec.convert(codec.decode(codec.encode(inputs)), list[Input]) == inputs


def test_births_ahead_of_their_devices_readings_need_no_cut() -> None:
    topics = [
        "fleet/v1/s/a/status",
        "fleet/v1/s/a/telemetry",
        "fleet/v1/s/b/status",
        "fleet/v1/s/b/telemetry",
    ]
    assert runs(topics) == [slice(0, 4)]


def test_deliveries_without_a_status_are_one_run() -> None:
    assert runs(["fleet/v1/s/a/telemetry"] * 2) == [slice(0, 2)]
    assert runs([]) == [slice(0, 0)]


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
