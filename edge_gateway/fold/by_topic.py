"""A batch of deliveries, sorted by what their topics say they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet_wire.topics import ACK, STATUS, DeviceTopic, parse_device_topic

if TYPE_CHECKING:
    from edge_gateway.fleet.registry import Registry
    from edge_gateway.records.inputs import Batch


@dataclass(frozen=True, slots=True)
class ByTopic:
    """Statuses and acks with their payloads; telemetry and deliveries of foreign sites by position in the batch.

    Of a status it is also said whether its device has just sent it.
    """

    statuses: list[tuple[DeviceTopic, bytes, bool]] = field(default_factory=list)
    acks: list[tuple[DeviceTopic, bytes]] = field(default_factory=list)
    telemetry: list[int] = field(default_factory=list)
    foreign: list[int] = field(default_factory=list)


def by_topic(batch: Batch, registry: Registry) -> ByTopic:
    """Sort a batch. A topic that says nothing known counts as telemetry, where admission quarantines it."""
    parts, known, copies = ByTopic(), registry.device_of_topic, set(batch.copies)
    for position, topic in enumerate(batch.topics):
        if topic in known:
            parts.telemetry.append(position)
            continue
        if registry.is_foreign(topic):
            parts.foreign.append(position)
            continue
        parsed = parse_device_topic(topic)
        if parsed is not None and parsed.kind == STATUS:
            parts.statuses.append((parsed, batch.payloads[position], position not in copies))
        elif parsed is not None and parsed.kind == ACK:
            parts.acks.append((parsed, batch.payloads[position]))
        else:
            parts.telemetry.append(position)
    return parts
