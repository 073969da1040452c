"""`rules check` and `rules test`: what a person runs before saving to the field."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_gateway.cli.options import ConfigOption, JsonOption, console, echo_json, load
from edge_gateway.rules.load import load_rules
from fleet_config.problems import ProblemsFound

app = typer.Typer(help="Rule files: check them, test them.", no_args_is_help=True)

PathArgument = Annotated[
    Path | None, typer.Argument(help="A rule file or a directory; the configured one when left out.")
]


def _path(path: Path | None, config: Path | None) -> Path:
    if path is not None:
        return path
    default = Path("rules")
    return default if config is None and default.is_dir() else load(config).config.rules.path


@app.command()
def check(path: PathArgument = None, config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Check rule files: every fault at once, with line and column."""
    place = _path(path, config)
    try:
        rules = load_rules(place)
    except ProblemsFound as found:
        if not as_json:
            raise
        echo_json({"ok": False, "problems": [problem.as_dict() for problem in found.problems]})
        raise typer.Exit(2) from found
    if as_json:
        echo_json({"ok": True, "rules": len(rules.rules), "hash": rules.hash, "problems": []})
    else:
        console.print(f"{place}: {len(rules.rules)} rules, good", highlight=False)
