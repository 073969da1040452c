"""`guard-broker`: run before this machine's Mosquitto starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def guard_broker(
    database: Annotated[Path, typer.Argument(help="Where Mosquitto keeps its queues.")] = Path(
        "/var/lib/mosquitto/mosquitto.db"
    ),
) -> None:
    """Move a database aside that Mosquitto could not start with, as a power cut may leave it; run before the broker."""
    from edge_gateway.errors import BadInput
    from edge_gateway.mqtt.broker_database import guard
    from fleet_console.terminal import complain
    from fleet_wire.errors import system_text

    try:
        done = guard(database)
    except OSError as error:
        raise BadInput(
            f"cannot read {database}: {system_text(error)}; run this as the broker's user, before it starts"
        ) from error
    if done:
        complain(done)
