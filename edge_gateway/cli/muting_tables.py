"""Tables of silences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_gateway.cli.tables import Blocks, cell, instant
from fleet_config.counting import counted
from fleet_console.drawing import Line, Styled, Table

Row = Mapping[str, Any]


def silences_table(silences: Sequence[Row]) -> Blocks:
    """Return a row for each silence."""
    if not silences:
        return [Line("nothing is silenced")]
    table = Table(("id", "until", "mutes", "commands", "by", "of", "why"))
    for one in silences:
        table.add(
            str(one["id"]),
            instant(one["until"], whole_seconds=True),
            Styled(cell(one["muted"]), "yellow" if one["muted"] else ""),
            "muted" if one["commands"] else "sent",
            one["by"],
            one["match"],
            one["why"],
        )
    return [table]


def silence_view(added: Row) -> Blocks:
    """Return what was silenced, how to end it, and a warning if it selects nothing."""
    what = "notices and commands" if added["commands"] else "notices"
    until = instant(added["until"], whole_seconds=True)
    firing = f"; {counted(added['muted'], 'alert')} of it fires now" if added["muted"] == 1 else ""
    if added["muted"] > 1:
        firing = f"; {counted(added['muted'], 'alert')} of it fire now"
    lines = [
        Line(f"silence {added['id']}: no {what} of {added['match']} until {until}{firing}"),
        Line(f"to end it: edge-gateway silence end {added['id']}", whole=True),
    ]
    if added["warning"]:
        lines.append(Line(f"it matches nothing now: {added['warning']}", "yellow"))
    return list(lines)
