"""Write influx/dashboard-*.yml, one file for each dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from dashboards import domains, general, operations

DIRECTORY = Path(__file__).parents[1] / "influx"
BOARDS = (
    *(general.overview, general.device, general.sites, operations.alerts, operations.gateway),
    *(domains.cold_chain, domains.factory, domains.water, domains.air, domains.weather),
)
HEAD = "# Made by `python -m dashboards`: change the cells there.\n"


class _Blocks(yaml.SafeDumper):
    """Writes texts of several lines as blocks, so that a query can be read and copied."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Blocks.add_representer(str, _text)


def rendered() -> dict[str, str]:
    """The text of each file, by its name."""
    return {
        f"dashboard-{board['metadata']['name']}.yml": _file(board) for board in (make() for make in BOARDS)
    }


def _file(board: dict[str, Any]) -> str:
    return HEAD + yaml.dump(board, Dumper=_Blocks, sort_keys=False, allow_unicode=True, width=120)


def main() -> None:
    """Write the files, and remove those of dashboards that are gone."""
    files = rendered()
    for stale in {path.name for path in DIRECTORY.glob("dashboard*.yml")} - files.keys():
        (DIRECTORY / stale).unlink()
    for name, text in files.items():
        (DIRECTORY / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
