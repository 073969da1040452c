"""`check` and `config show`."""

from __future__ import annotations

import typer

from edge_gateway.cli.options import ConfigOption, EmbeddedOption, JsonOption, load
from fleet_config.counting import counted

app = typer.Typer(help="The effective configuration.", no_args_is_help=True)


def check(
    config: ConfigOption = None, *, embedded: EmbeddedOption = False, as_json: JsonOption = False
) -> None:
    """Check configuration, rules and credentials, without side effects."""
    from edge_gateway.configuration.loading import read_secrets
    from edge_gateway.configuration.rules_folder import no_folder, read_rules
    from fleet_console.terminal import say, say_json

    loaded = load(config, embedded=embedded)
    read_secrets(loaded.config)
    rules = read_rules(
        loaded.config.rules, loaded.config.gateway.time_zones, inventory=loaded.config.inventory
    )
    if as_json:
        say_json({"ok": True, "rules": len(rules.rules), "hash": rules.hash})
    else:
        windows = counted(len(loaded.config.windows), "window")
        say(f"good: {counted(len(rules.rules), 'rule')}, {windows}")
        if said := no_folder(loaded.config.rules):
            say(said)


@app.command("show")
def show(
    config: ConfigOption = None, *, embedded: EmbeddedOption = False, as_json: JsonOption = False
) -> None:
    """Print every setting, and where its value comes from. Secrets stay references."""
    from edge_gateway.cli.tables import config_table
    from edge_gateway.configuration.loading import effective
    from fleet_console.terminal import say, say_json

    rows = list(effective(load(config, embedded=embedded)))
    if as_json:
        say_json([{"key": key, "value": value, "from": origin} for key, value, origin in rows])
    else:
        say(*config_table(rows))
