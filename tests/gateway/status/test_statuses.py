"""Who is online, after statuses of all kinds."""

from __future__ import annotations

import msgpack
import pytest

from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records import codec
from edge_gateway.status.device_checks import by_device
from fleet_wire import topics
from tests.gateway.fold.given import batch, birth, reading, settings


def troubles(pipeline: Pipeline) -> list[str]:
    """What is told of the device."""
    return [trouble.why for found in by_device(pipeline).values() for trouble in found]


TOPIC = topics.device_topic("berlin", "f1", topics.STATUS)


@pytest.fixture
def pipeline() -> Pipeline:
    pipeline = build_pipeline("gw", settings())
    pipeline.fold(batch(0, birth("f1"), reading("f1", 0, 0, temperature=1.0)))
    assert pipeline.registry.presence.online(0) is True
    return pipeline


@pytest.mark.parametrize(
    ("payload", "online", "readable"),
    [
        (msgpack.packb({"state": "offline"}), False, True),
        (b"", None, True),
        (b"offline", False, False),
        (b'{"state":"offline"}', False, False),
        (msgpack.packb({"state": "OFFLINE"}), False, False),
        (msgpack.packb({"state": "asleep"}), None, False),
        (msgpack.packb({"state": "online", "type": "freezer"}), None, False),
        (b"\xc1", None, False),
    ],
)
def test_a_device_whose_status_does_not_say_so_is_not_online(
    pipeline: Pipeline, payload: bytes, online: bool | None, readable: bool
) -> None:
    effects = pipeline.fold(batch(1_000, (TOPIC, payload)))
    assert pipeline.registry.presence.online(0) is online
    kept = [(one.topic, one.payload) for one in effects.quarantined]
    assert kept == ([] if readable else [(TOPIC, payload)])
    assert all(one.reason for one in effects.quarantined)
    again = build_pipeline("gw", settings())
    again.restore(codec.decode(codec.encode(pipeline.snapshot())))
    assert again.registry.presence.online(0) is online
    assert bool(troubles(again)) is not readable
    pipeline.fold(batch(2_000, birth("f1")))
    assert pipeline.registry.presence.online(0) is True
    assert not troubles(pipeline)


def test_a_status_of_another_site_says_nothing_of_the_device(pipeline: Pipeline) -> None:
    elsewhere = topics.device_topic("paris", "f1", topics.STATUS)
    effects = pipeline.fold(batch(1_000, (elsewhere, b"offline"), (elsewhere, b"")))
    assert [one.reason for one in effects.quarantined] == ["wrong_site"]
    assert pipeline.registry.presence.online(0) is True


def test_a_cleared_status_of_nobody_registers_nobody(pipeline: Pipeline) -> None:
    pipeline.fold(batch(1_000, (topics.device_topic("berlin", "f2", topics.STATUS), b"")))
    assert pipeline.registry.find("f2") is None
