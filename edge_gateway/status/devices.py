"""Describes devices one by one, for `devices`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edge_gateway.fleet.accounting import COUNTED
from edge_gateway.fleet.devices.tag_versions import UNKNOWN_TYPE
from edge_gateway.status.device_checks import DeviceTrouble, by_device

if TYPE_CHECKING:
    from edge_gateway.fold.pipeline import Pipeline


def describe_devices(pipeline: Pipeline, wanted: str | None) -> Iterator[dict[str, Any]]:
    """Yield what is known of the device `wanted`, or of every device that is not retired.

    Publishers that are not devices, because none of their messages was accepted, follow with their troubles only.
    """
    registry, describe = pipeline.registry, pipeline.admission.describe
    troubles = by_device(pipeline)
    for device in filter(registry.is_live, range(registry.devices)):
        if wanted not in {None, registry.device_name[device]}:
            continue
        described = describe(device)
        found = troubles.pop((described["site"], described["device"]), ())
        yield {**described, "troubles": [one.why for one in found]}
    for found in troubles.values():
        if wanted in {None, found[0].device}:
            yield _stranger(found)


def _stranger(troubles: Sequence[DeviceTrouble]) -> dict[str, Any]:
    """Describe a publisher that is not a device, with the same keys as a device."""
    messages = sum(one.messages for one in troubles)
    counters = dict.fromkeys(COUNTED, 0) | {"received": messages, "quarantined": messages}
    lost = dict.fromkeys(
        ("lost_at_device", "given_up", "clock_steps", "small_clock_steps", "messages_of_other_boots"), 0
    )
    return {
        "device": troubles[0].device,
        "site": troubles[0].site,
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
        "troubles": [one.why for one in troubles],
    }
