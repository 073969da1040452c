"""Describes devices one by one, for `devices`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edge_gateway.fleet.accounting import COUNTED
from edge_gateway.fleet.devices.tag_versions import UNKNOWN_TYPE
from edge_gateway.status.device_checks import DeviceTrouble, by_device

if TYPE_CHECKING:
    from edge_gateway.fold.pipeline import Pipeline


def describe_devices(pipeline: Pipeline, wanted: str | None) -> Iterator[dict[str, Any]]:
    """Yield what is known of the device `wanted`, or of every device that is not retired.

    Publishers that are not devices, because none of their messages was accepted, follow with their trouble only.
    """
    registry, describe = pipeline.registry, pipeline.admission.describe
    troubles = by_device(pipeline)
    for device in filter(registry.is_live, range(registry.devices)):
        if wanted not in {None, registry.device_name[device]}:
            continue
        described = describe(device)
        trouble = troubles.pop((described["site"], described["device"]), None)
        yield {**described, "trouble": trouble.why if trouble else None}
    for trouble in troubles.values():
        if wanted in {None, trouble.device}:
            yield _stranger(trouble)


def _stranger(trouble: DeviceTrouble) -> dict[str, Any]:
    """Describe a publisher that is not a device, with the same keys as a device."""
    counters = dict.fromkeys(COUNTED, 0) | {"received": trouble.messages, "quarantined": trouble.messages}
    lost = dict.fromkeys(
        ("lost_at_device", "given_up", "clock_steps", "small_clock_steps", "messages_of_other_boots"), 0
    )
    return {
        "device": trouble.device,
        "site": trouble.site,
        "type": UNKNOWN_TYPE,
        "tags": {},
        "position": None,
        "online": None,
        "last_seen": None,
        "boot": None,
        "top_seq": None,
        "gaps": [],
        "counters": {**counters, **lost},
        "bad": {},
        "trouble": trouble.why,
    }
