"""The gateway's id, by default the board's serial number or else the machine id; and its MQTT client ids."""

from __future__ import annotations

from pathlib import Path

from edge_gateway.errors import BadInput
from fleet_wire.topics import is_level

PLACES = (Path("/sys/firmware/devicetree/base/serial-number"), Path("/etc/machine-id"))
SHOWN = 16


def resolve(wanted: str, places: tuple[Path, ...] = PLACES) -> str:
    """Return the configured id, or for `auto` that of the hardware; BadInput when it has none."""
    if wanted != "auto":
        return wanted
    for place in places:
        text = _read(place)
        if text and is_level(text):
            return text[-SHOWN:]
    raise BadInput(
        "this machine has no serial number and no /etc/machine-id: set gateway.id to a name of its own"
    )


def client_id(*parts: str) -> str:
    """Return a client id that no device can have: neither topic levels nor Mosquitto user names contain a colon."""
    return ":".join(("edge", *parts))


def _read(place: Path) -> str:
    try:
        return place.read_text(errors="replace").strip("\0 \n")
    except OSError:
        return ""
