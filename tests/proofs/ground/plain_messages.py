"""What devices of a proof's oracle publish: the wire format once more, without the code of the product."""

from __future__ import annotations

from typing import Any

import msgpack

START = 1_760_000_000_000
"""When the first device starts, ms."""
SITE = "town"
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000


def telemetry(site: str, device: str, **keys: Any) -> tuple[str, bytes]:
    """Return topic and payload of a telemetry message; keys that are None are left out."""
    return f"fleet/v1/{site}/{device}/telemetry", _packed({"v": 1, **keys})


def status(site: str, device: str, state: str, **keys: Any) -> tuple[str, bytes]:
    """Return topic and payload of a birth (`online`) or a will (`offline`); keys that are None are left out."""
    return f"fleet/v1/{site}/{device}/status", _packed({"state": state, **keys})


def _packed(keys: dict[str, Any]) -> bytes:
    packed: bytes = msgpack.packb({key: value for key, value in keys.items() if value is not None})
    return packed
