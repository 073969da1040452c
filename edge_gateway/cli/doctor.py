"""`doctor`: check this machine."""

from __future__ import annotations

from dataclasses import asdict

import typer

from edge_gateway.cli.options import ConfigOption, EmbeddedOption, JsonOption, load, show


def doctor(
    config: ConfigOption = None, *, embedded: EmbeddedOption = False, as_json: JsonOption = False
) -> None:
    """Check clock, disk, broker, database, credentials and rules; exit 1 when something is wrong."""
    from edge_gateway.cli.tables import findings_table
    from edge_gateway.doctor import run_checks

    findings = [
        asdict(finding) for finding in run_checks(load(config, embedded=embedded).config, embedded=embedded)
    ]
    show(findings, as_json=as_json, table=findings_table)
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(1)
