"""Statuses of devices: births, wills, and what was meant to be one.

Only MessagePack as the contract has it counts. What is not of it goes to the quarantine, but a broker publishes a will
when a device is gone, whatever is in it: after one that cannot be read nobody may call the device online.
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
    """A status that is none of the contract, and why; `offline`: it says so all the same, in other words."""

    reason: str
    offline: bool


def read_status(payload: bytes) -> control_messages.Status | Unreadable:
    """Return what a status says. Nothing that it holds raises."""
    try:
        return control_messages.decode_status(payload)
    except control_messages.MalformedMessage as error:
        return Unreadable(diagnosed(payload, str(error)), _is_offline(payload))


def _is_offline(payload: bytes) -> bool:
    """Whether somebody says in plain words that the device is gone: `offline`, or a map of which it is the state."""
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
