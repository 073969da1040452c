"""The inventory at work: devices that are expected are known before they are heard, and never retired."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_gateway.fleet.limits import Refusal
from fleet_wire.control_messages import Birth, MetricInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.fleet.registry import Registry
    from edge_gateway.rules.alerts.evaluator import Evaluator
    from edge_gateway.rules.language.inventory import ExpectedDevice


def names_in(inventory: Iterable[ExpectedDevice]) -> frozenset[str]:
    """The names of expected devices."""
    return frozenset(one.id for one in inventory)


def expect(
    registry: Registry, rules: Evaluator, inventory: Sequence[ExpectedDevice], listening_ms: int
) -> None:
    """Expect these devices and no others; their silence counts from the first time that they are expected.

    What a row says of a device counts until its birth says it. A row of a site that this gateway does not own, or of a
    device that is known at another site, is passed over; one beyond the limit on devices is refused and counted.
    """
    before, registry.expected = registry.expected, names_in(inventory)
    _let_go(registry, before - registry.expected)
    registry.set_clock(listening_ms)
    for row in inventory:
        if not registry.owns(row.site):
            continue
        device = registry.device(row.site, row.id)
        if isinstance(device, Refusal):
            continue
        if device not in registry.births.facts or registry.presence.online(device) is None:
            metrics = {name: MetricInfo() for name in row.metrics}
            registry.birth(device, Birth(type=row.type, tags=row.tags, metrics=metrics, boot=0), 0)
            registry.presence.status_cleared(device)
        rules.expect(device, row.metrics, listening_ms)


def _let_go(registry: Registry, names: Iterable[str]) -> None:
    """Let devices that are expected no more, and were never heard, be retired at the next tick."""
    for name in sorted(names):
        device = registry.find(name)
        never = device is not None and not registry.presence.last_seen(device)
        if device is not None and never and registry.presence.online(device) is None:
            registry.presence.expire(device)


def unexpected(registry: Registry, devices: IntColumn) -> IntColumn:
    """Of these devices those that may be retired: all but the expected ones of the gateway's sites."""
    if not registry.expected:
        return devices
    names = registry.device_name
    kept = [
        names[device] not in registry.expected or not registry.is_live(device) for device in devices.tolist()
    ]
    return devices[np.array(kept, np.bool_)]
