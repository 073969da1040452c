"""Statuses of devices: births, wills, and what was meant to be one.

Only MessagePack as the contract has it counts. What is not of it goes to the quarantine, but a broker publishes a will
when a device is gone, whatever is in it: after one that cannot be read nobody may call the device online.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from fleet_wire import control
from fleet_wire.payload import MAX_PAYLOAD
from fleet_wire.printable import printable

BAD_STATUS = "bad_status"
OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A status that is none of the contract, and why; `offline`: it says so all the same, in other words."""

    reason: str
    offline: bool


def read_status(payload: bytes) -> control.Status | Unreadable:
    """Return what a status says. Nothing that it holds raises."""
    try:
        return control.decode_status(payload)
    except control.MalformedMessage as error:
        said = _other_words(payload)
        why = f"{said.form}, not MessagePack" if said.form else str(error)
        return Unreadable(printable(f"{BAD_STATUS}: {why}"), _is_offline(said.content))


@dataclass(frozen=True, slots=True)
class _Said:
    """What a payload holds, of whatever form; the form is empty for MessagePack and for what is nothing."""

    form: str
    content: Any = None


def _other_words(payload: bytes) -> _Said:
    if len(payload) > MAX_PAYLOAD:
        return _Said("")
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return _Said("", _decoded(msgspec.msgpack.decode, payload))
    found = _decoded(msgspec.json.decode, payload)
    if isinstance(found, dict | str):
        return _Said("JSON", found)
    return _Said("plain text", text) if text.strip().isprintable() else _Said("")


def _decoded(decode: Any, payload: bytes) -> Any:
    try:
        return decode(payload)
    except (ValueError, RecursionError):  # what msgspec raises for bytes of another form
        return None


def _is_offline(content: Any) -> bool:
    """Whether somebody says in plain words that the device is gone: `offline`, or a map of which it is the state."""
    said = content.get("state") if isinstance(content, dict) else content
    return isinstance(said, str) and said.strip().casefold() == OFFLINE
