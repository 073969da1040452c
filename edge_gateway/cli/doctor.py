"""`doctor`: check this machine, and the gateway or the spool on it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from edge_gateway.cli.options import ConfigOption, EmbeddedOption, JsonOption, load, show
from edge_gateway.errors import GatewayError

if TYPE_CHECKING:
    from pathlib import Path

    from edge_gateway.doctor import CheckResult


def doctor(
    config: ConfigOption = None, *, embedded: EmbeddedOption = False, as_json: JsonOption = False
) -> None:
    """Check clock, disk, broker, database, credentials, rules, and the gateway or its spool.

    Exit 1 when a check fails, the running gateway has a failure or not the settings of the file, or the spool of a
    stopped one is damaged. Warnings and notices of the gateway are shown; they alone exit 0.
    """
    from edge_gateway.cli.tables import findings_table
    from edge_gateway.doctor import check_gateway, check_settings, run_checks

    settings = load(config, embedded=embedded).config
    found = run_checks(settings, embedded=embedded)
    in_step = check_settings(settings)
    found += [] if in_step is None else [in_step]
    running = check_gateway(settings.spool.path)
    found += _check_stopped(settings.spool.path) if running is None else running
    findings = [asdict(finding) for finding in found]
    show(findings, as_json=as_json, table=findings_table)
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(1)


def _check_stopped(place: Path) -> list[CheckResult]:
    """Say that no gateway runs on a spool, unless one holds it or none ever has, and check what the spool holds."""
    from edge_gateway.doctor import CheckResult
    from edge_gateway.errors import SpoolInUse
    from edge_gateway.journal import spool
    from edge_gateway.status.problem import Gravity

    stored = _check_stored(place)
    try:
        spool.refuse_in_use(place)
    except SpoolInUse:
        return [stored]
    if not (place / spool.LOCK).exists():
        return [stored]
    none = CheckResult("gateway", ok=True, detail="none runs on this spool", gravity=Gravity.WARNING)
    return [none, stored]


def _check_stored(place: Path) -> CheckResult:
    """Check what the spool of a stopped gateway holds."""
    from edge_gateway.doctor import CheckResult, left_to_owner
    from edge_gateway.journal import spool, spool_owner
    from edge_gateway.recovery.startup import refuse_other_versions
    from edge_gateway.spool_contents import verify

    if not (place / spool.LOCK).exists():
        return CheckResult("stored", ok=True, detail="no gateway has run here yet")
    if not spool_owner.may_write(place / spool.LOCK) and (left := left_to_owner("stored", "it", place)):
        return left
    try:
        with spool.held(place):
            refuse_other_versions(place)
            damage = [f"{one.check}: {one.detail}" for one in verify(place) if not one.ok]
    except (GatewayError, OSError) as error:
        return CheckResult("stored", ok=False, detail=str(error))
    if not damage:
        return CheckResult("stored", ok=True, detail="journal, checkpoints and store are sound")
    return CheckResult("stored", ok=False, detail=f"{'; '.join(damage)} (see `edge-gateway spool verify`)")
