"""What is wrong with the connection to the broker, and what to check."""

from __future__ import annotations

from typing import Final

from fleet_wire.errors import BAD_USER, ConnectionLost, ConnectRefused, plain_text
from fleet_wire.session_options import SessionOptions

__all__ = ["advice_of", "lost_text"]

UNREACHED: Final = "is it running, and mqtt.url right?"
LOST: Final = "the gateway connects again by itself; if this recurs, see the broker's log"
UNTRUSTED: Final = "check mqtt.ca, and the host name in mqtt.url"
LOGIN: Final = "check mqtt.user and mqtt.password"


def advice_of(error: Exception, *, accepted: bool) -> str:
    """Return what to check; "" where the error's own text says it. `accepted`: there was a connection before."""
    if isinstance(error, ConnectRefused):
        if error.reason == BAD_USER:
            return LOGIN
        return UNTRUSTED if "certificate" in str(error) else ""
    if isinstance(error, ConnectionLost) and error.reason is not None:
        return ""
    return LOST if accepted else UNREACHED


def lost_text(error: Exception, options: SessionOptions, *, accepted: bool) -> str:
    """Describe a lost connection, or one that did not come about, with the broker's address and what to check."""
    text = plain_text(error)
    named = text if options.address in text else f"the broker at {options.host}:{options.port}: {text}"
    advice = advice_of(error, accepted=accepted)
    return f"{named}; {advice}" if advice else named
