"""The rule `Hot`, with one level or two, and a command it gives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edge_gateway.rules.language.ruleset import Command, Level, Rule

HOT = Rule(name="Hot", group="g", expr="t", levels=(Level("warning", limit=10.0),))
TWO = replace(HOT, levels=(Level("warning", limit=10.0), Level("critical", limit=20.0)))


def command(**changes: Any) -> Command:
    return replace(
        Command("fan", "fan", {"speed": 3}, ("firing", "escalated"), 60_000, 30_000, 5_000, 2), **changes
    )
