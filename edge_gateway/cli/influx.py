"""`influx apply`, `status`, `diff` and `remove`: buckets, variables and dashboards through one stack."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_gateway.cli.options import ConfigOption, JsonOption, load, show
from edge_gateway.errors import BadInput

if TYPE_CHECKING:
    from edge_gateway.sinks.influx.setup.documents import WindowBucket
    from edge_gateway.sinks.influx.setup.plan import Plan
    from edge_gateway.sinks.influx.setup.server import Target

app = typer.Typer(help="InfluxDB's buckets, variables and dashboard.", no_args_is_help=True)


AdoptOption = Annotated[
    list[str] | None,
    typer.Option(
        "--adopt",
        metavar="[KIND/]NAME",
        help="Take over an existing resource of this name; may be repeated.",
    ),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Delete points and undo changes made by hand, as the refusals say.")
]


@app.command()
def apply(
    config: ConfigOption = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")
    ] = False,
    adopt: AdoptOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Create what the templates describe, or bring it up to date; a second apply changes nothing."""
    from edge_gateway.sinks.influx.setup import apply as setup
    from edge_gateway.sinks.influx.setup.plan import Allowed

    target, windows = _target(config)
    allowed = Allowed(tuple(adopt or ()), force=force)
    planned = asyncio.run((setup.plan if dry_run else setup.apply)(target, windows, allowed))
    _show(planned, as_json=as_json, done=not dry_run)
    if planned.refusals:
        raise BadInput("\n".join(["an apply would change nothing:", *planned.refusals]))
    _warn_of_other_settings(config)
    if planned.warnings:
        raise typer.Exit(1)


def _warn_of_other_settings(config: Path | None) -> None:
    """Say so on standard error if a gateway runs here that does not know what was applied."""
    from edge_gateway.doctor import check_settings
    from fleet_console.terminal import complain

    found = check_settings(load(config).config)
    if found is not None and not found.ok:
        complain(found.detail)


@app.command()
def status(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Show what differs from the templates, and what an apply would do; exit 1 if anything."""
    from edge_gateway.sinks.influx.setup import apply as setup
    from fleet_console.terminal import complain

    target, windows = _target(config)
    planned = asyncio.run(setup.plan(target, windows))
    _show(planned, as_json=as_json)
    if not as_json and planned.refusals:
        complain(*planned.refusals)
    if not planned.in_step:
        raise typer.Exit(1)


@app.command()
def diff(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Show each value that differs: `-` on the server, `+` in the templates; exit 1 if any does."""
    from functools import partial

    from edge_gateway.cli.tables import differences_view
    from edge_gateway.sinks.influx.setup import apply as setup

    found = [asdict(one) for one in asyncio.run(setup.diff(*_target(config)))]
    show(found, as_json=as_json, table=partial(differences_view))
    if found:
        raise typer.Exit(1)


@app.command()
def remove(
    config: ConfigOption = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; without this it is only named.")] = False,
    points: Annotated[
        bool, typer.Option("--points", help="Remove the buckets too, with all their points.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Name what an apply created, and with --yes remove it; what is somebody else's stays."""
    from functools import partial

    from edge_gateway.cli.tables import removal_table
    from edge_gateway.sinks.influx.setup.removal import remove as remove_all

    target, _ = _target(config)
    found = asyncio.run(remove_all(target, points=points, confirmed=yes))
    report = {"changes": [asdict(one) for one in found.changes], "removed": found.removed}
    show(report, as_json=as_json, table=partial(removal_table))
    if not (found.empty or yes):
        raise BadInput("nothing was removed; --yes removes what has 'remove' above")


def _target(config: Path | None) -> tuple[Target, list[WindowBucket]]:
    from edge_gateway.sinks.influx.setup.documents import WindowBucket
    from edge_gateway.sinks.influx.setup.server import Target

    settings = load(config).config
    if settings.influx is None:
        raise BadInput("the configuration has no 'influx:' section; add one with url, org and token")
    influx = settings.influx
    settled = settings.windows[0].every + settings.time.allowed_lateness + settings.time.idle_close
    windows = [WindowBucket(one.every, one.bucket, one.keep, settled) for one in settings.windows]
    return Target(influx.url, influx.org, influx.token.read()), windows


def _show(plan: Plan, *, as_json: bool, done: bool = False) -> None:
    """Print a plan, as one to carry out or as one that was."""
    from functools import partial

    from edge_gateway.cli.tables import changes_table
    from fleet_console.terminal import complain

    report = {
        "stack": plan.stack,
        "changes": [asdict(one) for one in plan.changes],
        "refusals": plan.refusals,
        "warnings": plan.warnings,
        "in_step": plan.in_step,
    }
    show(report, as_json=as_json, table=partial(changes_table, done=done))
    if not as_json and plan.warnings:
        complain(*plan.warnings)
