"""`spool`: what is on the disk of a stopped gateway, whether it is sound, and what can be got out of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edge_gateway.cli.options import ConfigOption, JsonOption, find_config, show
from edge_gateway.errors import BadInput, SpoolInUse

if TYPE_CHECKING:
    from edge_gateway.configuration.model import GatewayConfig

app = typer.Typer(help="The disk of a stopped gateway.", no_args_is_help=True)


class Part(StrEnum):
    """What can be exported."""

    MESSAGES = "messages"
    QUARANTINE = "quarantine"
    OUTBOX = "outbox"


@contextmanager
def _held(config: GatewayConfig) -> Iterator[Path]:
    """The spool, which no gateway uses meanwhile; BadInput where there is none or one does."""
    from edge_gateway.journal import spool
    from edge_gateway.journal.files import UMASK

    os.umask(UMASK)
    place = config.spool.path
    if not place.is_dir():
        raise BadInput(f"there is no spool at {place}; has this gateway run yet?")
    try:
        with spool.held(place):
            yield place
    except SpoolInUse as error:
        raise SpoolInUse(
            f"the gateway is running and holds the spool {place}: stop it first, or ask it: edge-gateway status"
        ) from error


@app.command()
def inspect(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """What is there: journal, checkpoints, store, what waits, what was set aside."""
    from edge_gateway.cli.tables import spool_view
    from edge_gateway.spool_contents import contents

    with _held(find_config(config)) as place:
        show(contents(place), as_json=as_json, table=spool_view)


@app.command()
def verify(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Check every checksum, the store's integrity, and that the parts fit together; exit 1 when something is wrong."""
    from edge_gateway.cli.tables import findings_table
    from edge_gateway.spool_contents import verify as look

    with _held(find_config(config)) as place:
        findings = [asdict(finding) for finding in look(place)]
    show(findings, as_json=as_json, table=findings_table)
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(1)


@app.command()
def export(part: Part, config: ConfigOption = None) -> None:
    """Print a part as JSON lines: topic, payload (base64) and time of messages; lines that wait for InfluxDB."""
    from edge_gateway import spool_contents
    from fleet_wire.terminal import say_json

    readers = {
        Part.MESSAGES: spool_contents.messages,
        Part.QUARANTINE: spool_contents.quarantined,
        Part.OUTBOX: spool_contents.waiting_lines,
    }
    with _held(find_config(config)) as place:
        for row in readers[part](place):
            say_json(row)


@app.command("replay-quarantine")
def replay_quarantine(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Fold quarantined messages once more, after what was wrong has been mended; what is still bad stays."""
    from edge_gateway.cli.tables import rows_table
    from edge_gateway.recovery import quarantine_replay

    settings = find_config(config)
    with _held(settings) as place:
        done: dict[str, Any] = asdict(quarantine_replay.replay_quarantine(place, settings))
    show(done, as_json=as_json, table=lambda row: rows_table([row]))
