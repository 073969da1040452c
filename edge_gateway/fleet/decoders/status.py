"""Statuses of devices: births, wills, and unreadable ones.

Only a MessagePack status of the contract is accepted; anything else is quarantined. But the broker publishes a will
whatever its content when a device is gone, so after an unreadable status the device must not count as online.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from edge_gateway.fleet.decoders.diagnosis import diagnosed
from fleet_wire import control_messages
from fleet_wire.payload import MAX_PAYLOAD

OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A status that cannot be read, and why; `offline` if it says in other words that the device is offline."""

    reason: str
    offline: bool


def read_status(payload: bytes) -> control_messages.Status | Unreadable:
    """Decode a status. No payload raises."""
    try:
        return control_messages.decode_status(payload)
    except control_messages.MalformedMessage as error:
        return Unreadable(diagnosed(payload, str(error)), _is_offline(payload))


def _is_offline(payload: bytes) -> bool:
    """Whether a payload says `offline`, as a plain text or as the `state` in a map."""
    if len(payload) > MAX_PAYLOAD:
        return False
    found = (
        _decoded(decode, payload) for decode in (msgspec.msgpack.decode, msgspec.json.decode, bytes.decode)
    )
    return any(map(_says_offline, found))


def _decoded(decode: Any, payload: bytes) -> Any:
    try:
        return decode(payload)
    except (ValueError, RecursionError):  # what msgspec raises for bytes of another form
        return None


def _says_offline(content: Any) -> bool:
    said = content.get("state") if isinstance(content, dict) else content
    return isinstance(said, str) and said.strip().casefold() == OFFLINE
