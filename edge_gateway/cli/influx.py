"""`influx apply` and `influx status`: buckets, variables and the dashboard through one stack."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_gateway.cli.options import ConfigOption, JsonOption, load, show
from edge_gateway.cli.tables import changes_table
from edge_gateway.errors import BadInput

if TYPE_CHECKING:
    from edge_gateway.influx_setup import Plan, Target, WindowBucket

app = typer.Typer(help="InfluxDB's buckets, variables and dashboard.", no_args_is_help=True)


@app.command()
def apply(
    config: ConfigOption = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Let the server check; change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make what the templates describe, or bring it up to date; a second apply changes nothing."""
    from edge_gateway import influx_setup  # noqa: PLC0415 - for this command alone

    target, windows = _place(config)
    work = influx_setup.plan if dry_run else influx_setup.apply
    _show(asyncio.run(work(target, windows)), as_json=as_json)


@app.command()
def status(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """What an apply would change; exit 1 when that is anything."""
    from edge_gateway import influx_setup  # noqa: PLC0415 - for this command alone

    target, windows = _place(config)
    plan = asyncio.run(influx_setup.plan(target, windows))
    _show(plan, as_json=as_json)
    if not plan.in_step:
        raise typer.Exit(1)


def _place(config: Path | None) -> tuple[Target, list[WindowBucket]]:
    from edge_gateway.influx_setup import Target, WindowBucket  # noqa: PLC0415 - as above

    settings = load(config).config
    if settings.influx is None:
        raise BadInput("the configuration has no 'influx:' section; add url, org and token")
    influx = settings.influx
    windows = [WindowBucket(window.every, window.bucket, window.keep) for window in settings.windows]
    return Target(influx.url, influx.org, influx.token.read()), windows


def _show(plan: Plan, *, as_json: bool) -> None:
    show(
        {"stack": plan.stack, "changes": [asdict(one) for one in plan.changes]},
        as_json=as_json,
        table=changes_table,
    )
