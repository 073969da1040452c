"""What a gateway sends over its control connection: alerts, commands, and a status of several kilobytes."""

from __future__ import annotations

import mqtt5

from edge_gateway.fold.messages import Message
from fleet_wire import control_messages
from tests.gateway.mqtt.strict_broker import NONCE, StrictBroker

ALERT = "edge/v1/gw/alerts/berlin/frz-1/TooWarm"
COMMAND = "fleet/v1/berlin/frz-1/command"
BULKY = {
    "gateway": "gw",
    "version": "1",
    "state": "online",
    "at": 1,
    "started": 1,
    "nonce": NONCE,
    "gaps": {"ranges": [{"device": f"frz-{number}", "from": 1, "to": 2} for number in range(100)]},
    "definitions": {"sum": "exact" * 20},
    "rules": {"problems": ["x" * 500]},
    "metrics": {f"metric_{number}": {"unit": "°C"} for number in range(50)},
    "counters": {},
    "problems": [],
}
"""A status that has to be shortened for a broker of small packets."""


def firing() -> Message:
    """An alert of about two kilobytes."""
    alert = control_messages.Alert(
        id="a",
        group="g",
        rule="TooWarm",
        level="critical",
        state="firing",
        event="firing",
        cause="reading",
        site="berlin",
        subject="frz-1",
        at=1,
        annotations={"summary": "x" * 2_000},
    )
    return Message(ALERT, control_messages.encode_alert(alert), retain=True)


def alert(state: str = "firing") -> Message:
    """An alert whose payload is its state."""
    return Message(ALERT, state.encode(), retain=state == "firing")


def command(number: int = 1, *, payload: bytes = b"x", doubtful: bool = False) -> Message:
    return Message(COMMAND, payload, expires_at=60_000, correlation=b"c%d" % number, doubtful=doubtful)


def statuses(broker: StrictBroker) -> list[mqtt5.PublishPacket]:
    """The statuses that the broker accepted."""
    return [one for one in broker.taken if one.topic == "edge/v1/gw/status"]
