"""`edge-gateway silence` and `ack`: who is not told of alerts, for how long, and that somebody has seen one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from edge_gateway.cli.options import ConfigOption, JsonOption, ask, show
from edge_gateway.cli.running import running_config

app = typer.Typer(
    help="Silences of a running gateway: mute alerts for a time, list that, end it.", no_args_is_help=True
)


@app.command("add")
def add_silence(
    match: Annotated[
        list[str] | None,
        typer.Option(
            "--match",
            "-m",
            help="key=glob or key=glob,glob; all must fit. Keys: site, device, type, any birth tag, alert, level.",
        ),
    ] = None,
    config: ConfigOption = None,
    *,
    until: Annotated[
        str, typer.Option(help="Its end: a duration such as 2h, or a time (UTC if it has no zone).")
    ],
    why: Annotated[str, typer.Option(help="The reason, for those who wonder later.")],
    alert: Annotated[
        str | None, typer.Option(help="One alert: RULE/DEVICE, or RULE for all devices. This shelves it.")
    ] = None,
    commands: Annotated[
        bool,
        typer.Option(
            "--commands", help="Mute its commands too, but for those that end what earlier ones began."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Mute the notices of alerts for a time. They go on firing, and are told at its end if they still do."""
    from edge_gateway.cli.muting_tables import silence_view

    request = {
        "do": "silence",
        "match": {**_selection(match or []), **_of_alert(alert)},
        "until": until,
        "why": why,
        "commands": commands,
    }
    show(ask(running_config(config), request, config), as_json=as_json, table=silence_view)


def _selection(pairs: list[str]) -> dict[str, list[str]]:
    """Return `key=glob,glob` texts as a mapping; a key given twice has the globs of both."""
    found: dict[str, list[str]] = {}
    for pair in pairs:
        key, equals, globs = pair.partition("=")
        values = [glob.strip() for glob in globs.split(",") if glob.strip()]
        if not (equals and key.strip() and values):
            raise typer.BadParameter(
                f"--match: '{pair}' is no selection; write site=berlin, or site=berlin,lyon"
            )
        found.setdefault(key.strip(), []).extend(values)
    return found


def _of_alert(text: str | None) -> dict[str, list[str]]:
    """Return RULE/SUBJECT, or RULE, as a selection."""
    if text is None:
        return {}
    rule, slash, subject = text.partition("/")
    if not rule or (slash and not subject):
        raise typer.BadParameter(
            f"--alert: '{text}' names no alert; write RULE/DEVICE, or RULE for all devices"
        )
    return {"alert": [rule], **({"subject": [subject]} if subject else {})}


@app.command("ls")
def list_silences(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Show the silences in force, and how many alerts each mutes now."""
    from edge_gateway.cli.muting_tables import silences_table

    show(ask(running_config(config), {"do": "silences"}, config), as_json=as_json, table=silences_table)


@app.command("end")
def end_silence(
    silence: Annotated[int, typer.Argument(help="Its number, as `silence ls` shows it.", min=1)],
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """End a silence now. What it muted and still fires is told."""
    _told({"do": "end_silence", "silence": silence}, config, as_json=as_json)


def ack(
    alert: Annotated[str, typer.Argument(help="Its id, the first characters of one, or RULE/DEVICE.")],
    config: ConfigOption = None,
    *,
    why: Annotated[str, typer.Option(help="What to tell others.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Acknowledge an alert: its notice is not repeated, until it escalates or fires anew."""
    _told({"do": "acknowledge", "alert": alert, "why": why}, config, as_json=as_json)


def _told(request: dict[str, Any], config: ConfigOption, *, as_json: bool) -> None:
    from fleet_console.drawing import Line

    answer = ask(running_config(config), request, config)
    show(answer, as_json=as_json, table=lambda text: [Line(text)])
