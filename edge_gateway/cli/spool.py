"""`edge-gateway spool`: inspect, verify and export the spool of a stopped gateway."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edge_gateway.cli.options import ConfigOption, JsonOption, find_config, show, with_config
from edge_gateway.errors import BadInput, SpoolInUse

if TYPE_CHECKING:
    from edge_gateway.configuration.model import GatewayConfig

app = typer.Typer(help="Inspect, verify and export the spool of a stopped gateway.", no_args_is_help=True)


class SpoolPart(StrEnum):
    """A part of the spool that can be exported."""

    MESSAGES = "messages"
    QUARANTINE = "quarantine"
    OUTBOX = "outbox"


@contextmanager
def _held(config: GatewayConfig, command: str, *, writes: bool = False) -> Iterator[Path]:
    """Lock the spool while the block runs.

    Args:
        config: of the gateway.
        command: the one that asks, for advice.
        writes: it makes files in the spool, which must belong to the gateway's user.

    Raises:
        BadInput: there is no spool, or only its owner may do this.
        SpoolInUse: a gateway runs on it.
    """
    from edge_gateway.journal import spool, spool_owner
    from edge_gateway.journal.files import UMASK

    os.umask(UMASK)
    place = config.spool.path
    spool.require_directory(place)
    if not os.access(place, os.R_OK | os.X_OK, effective_ids=True):
        spool_owner.refuse_other_owner(place, command)
    if not any((place / part).exists() for part in (spool.JOURNAL, spool.CHECKPOINTS, spool.STORE)):
        raise BadInput(f"there is no spool at {place}; has this gateway run yet?")
    try:
        spool.refuse_in_use(place)
        lock = place / spool.LOCK
        if writes or not spool_owner.may_write(lock if lock.exists() else place):
            spool_owner.refuse_other_owner(place, command)
        with spool.held(place):
            yield place
    except SpoolInUse as error:
        raise SpoolInUse(
            f"the gateway is running and holds the spool {place}; stop it first, or ask it with `edge-gateway status`"
        ) from error


@app.command()
def inspect(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Show journal, checkpoints, store, waiting lines, and damaged files that were set aside."""
    from edge_gateway.cli.tables import spool_view
    from edge_gateway.spool_contents import contents

    with _held(find_config(config), with_config("spool inspect", config)) as place:
        show(contents(place), as_json=as_json, table=spool_view)


@app.command()
def verify(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Check every checksum, the store's integrity, and whether the parts fit together; exit 1 if something is wrong."""
    from edge_gateway.cli.tables import findings_table
    from edge_gateway.spool_contents import verify as check_all

    with _held(find_config(config), with_config("spool verify", config)) as place:
        findings = [asdict(finding) for finding in check_all(place)]
    show(findings, as_json=as_json, table=findings_table)
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(1)


@app.command()
def export(part: SpoolPart, config: ConfigOption = None) -> None:
    """Print a part as JSON lines: messages with topic, payload (base64) and time, or lines for InfluxDB."""
    from edge_gateway import spool_contents
    from fleet_console.terminal import say_json

    readers = {
        SpoolPart.MESSAGES: spool_contents.messages,
        SpoolPart.QUARANTINE: spool_contents.quarantined,
        SpoolPart.OUTBOX: spool_contents.waiting_lines,
    }
    with _held(find_config(config), with_config(f"spool export {part}", config)) as place:
        for row in readers[part](place):
            say_json(row)


@app.command("mark-restored")
def mark_restored(config: ConfigOption = None) -> None:
    """Say that this spool was restored from a copy, made before the gateway stopped for the last time.

    The next start keeps readings of older windows apart, so that no point in InfluxDB is replaced by a smaller one.
    """
    from edge_gateway.journal import spool
    from fleet_console.terminal import say

    with _held(find_config(config), with_config("spool mark-restored", config), writes=True) as place:
        spool.mark_restored(place)
    say(f"{place} counts as an older copy from the next start on")


@app.command("replay-quarantine")
def replay_quarantine(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Process quarantined messages again, after their cause has been fixed; what is still bad stays."""
    import sqlite3

    from edge_gateway.cli.tables import rows_table
    from edge_gateway.recovery import quarantine_replay
    from fleet_console.failures import in_words
    from fleet_console.terminal import complain

    settings = find_config(config)
    with _held(settings, with_config("spool replay-quarantine", config), writes=True) as place:
        try:
            done: dict[str, Any] = asdict(quarantine_replay.replay_quarantine(place, settings, complain))
        except (OSError, sqlite3.Error) as error:
            raise BadInput(
                f"the spool {place} cannot be read or written: {in_words(error)}. Messages done so far count"
                " once; mend it and run it again"
            ) from error
    show(done, as_json=as_json, table=lambda row: rows_table([row]))
