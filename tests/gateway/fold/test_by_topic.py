"""Deliveries are sorted by their topics; what no topic of the contract is goes the way of telemetry."""

from __future__ import annotations

from edge_gateway.fleet.limits import RegistryLimits
from edge_gateway.fleet.registry import Registry
from edge_gateway.fold.by_topic import by_topic
from edge_gateway.records.inputs import Batch, Moment
from fleet_wire.topics import DeviceTopic


def test_each_delivery_goes_one_way_in_the_order_of_arrival() -> None:
    topics = {
        "fleet/v1/berlin/a/telemetry": "telemetry",
        "fleet/v1/berlin/a/status": "status",
        "fleet/v1/berlin/b/ack": "ack",
        "fleet/v1/berlin/a/command": "telemetry",
        "fleet/v1/berlin": "telemetry",
        "whatever": "telemetry",
        "fleet/v1/paris/a/telemetry": "foreign",
        "fleet/v1/paris/a/status": "foreign",
        "fleet/v1/berlin/b/telemetry": "telemetry",
    }
    registry = Registry(RegistryLimits(), sites=frozenset({"berlin"}))
    registry.device("berlin", "a")
    batch = Batch(Moment(0, 0), list(topics), [topic.encode() for topic in topics])
    parts = by_topic(batch, registry)
    at = {
        name: [place for place, way in enumerate(topics.values()) if way == name] for name in topics.values()
    }
    assert (parts.telemetry, parts.foreign) == (at["telemetry"], at["foreign"])
    assert parts.statuses == [(DeviceTopic("berlin", "a", "status"), b"fleet/v1/berlin/a/status", True)]
    assert parts.acks == [(DeviceTopic("berlin", "b", "ack"), b"fleet/v1/berlin/b/ack")]


def test_a_status_that_the_broker_kept_or_sends_again_is_told_from_one_just_sent() -> None:
    topics = [f"fleet/v1/berlin/{device}/status" for device in "abc"]
    batch = Batch(Moment(0, 0), topics, [b"x"] * 3, copies=[0, 2])
    assert [just_sent for *_, just_sent in by_topic(batch, Registry(RegistryLimits())).statuses] == [
        False,
        True,
        False,
    ]
