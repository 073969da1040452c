"""Who this gateway is: when nobody says so, the board's serial number, else the machine's id; and at the broker."""

from __future__ import annotations

from pathlib import Path

from edge_gateway.errors import BadInput
from fleet_wire.topics import is_level

PLACES = (Path("/sys/firmware/devicetree/base/serial-number"), Path("/etc/machine-id"))
SHOWN = 16


def resolve(wanted: str, places: tuple[Path, ...] = PLACES) -> str:
    """The id to use; `auto` looks at the hardware. BadInput where it finds nothing."""
    if wanted != "auto":
        return wanted
    for place in places:
        text = _read(place)
        if text and is_level(text):
            return text[-SHOWN:]
    raise BadInput(
        "this machine has no serial number and no /etc/machine-id; write gateway.id: a-name-of-its-own"
    )


def client_id(*parts: str) -> str:
    """A client id that no device can have: a colon is neither in a topic level nor in a name of a password file."""
    return ":".join(("edge", *parts))


def _read(place: Path) -> str:
    try:
        return place.read_text(errors="replace").strip("\0 \n")
    except OSError:
        return ""
