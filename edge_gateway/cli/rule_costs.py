"""`rules check --cost`: what rules take of time and memory, against the caps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edge_gateway.cli.tables import Blocks, cell
from edge_gateway.fleet.registry import Registry
from edge_gateway.rules.files.load import MOST_RULES
from edge_gateway.rules.inspection.cost import cost_of, range_bytes, ranges_of, seconds_of_steps, state_bytes
from edge_gateway.rules.inspection.in_force import kind_of
from edge_gateway.rules.language.analysis import MAX_NODES
from fleet_config.counting import counted
from fleet_config.durations import rounded_size
from fleet_console.drawing import Line, Table

if TYPE_CHECKING:
    from edge_gateway.rules.language.ruleset import Rule, RuleSet

DEVICES = 1_000
"""Devices of the measurement, whose readings come together: what a batch costs is shared by many."""
STEPS = 20


def costs_of(
    rules: RuleSet, devices: int, clock: Callable[[], float] = time.perf_counter, steps: int = STEPS
) -> dict[str, Any]:
    """Measure rules one by one, each on every device, whatever it matches.

    Times are ns a reading, of this machine, without what a reading costs where there are no rules. Sizes are bytes a
    device in the rows, and of so many `devices` in the totals, at most.
    """
    registry = Registry()
    without = seconds_of_steps((), clock, devices=DEVICES, steps=steps)

    def nanoseconds(rule: Rule) -> int:
        taken = seconds_of_steps((rule,), clock, devices=DEVICES, steps=steps) - without
        return round(max(0.0, taken) / DEVICES * 1e9)

    found = []
    for rule in rules.rules:
        cost = cost_of(rule, registry)
        row = {"rule": rule.name, "kind": kind_of(rule), **cost._asdict(), "share_of_cap": cost.share_of_cap}
        found.append({**row, "ns": nanoseconds(rule)})
    slowest = max((row["ns"] for row in found), default=0) or 1
    for row in found:
        row["relative"] = row["ns"] / slowest
    total = {
        "devices": devices,
        "ns": sum(row["ns"] for row in found),
        "range_bytes": devices * sum(map(range_bytes, ranges_of(rules.rules))),
        "state_bytes": devices * state_bytes(rules.rules, registry),
    }
    caps = {"rules": MOST_RULES, "nodes": MAX_NODES}
    return {"rules": found, "total": total, "caps": caps}


def costs_view(costs: Mapping[str, Any]) -> Blocks:
    """Return a row for each rule, the most costly first, and the totals."""
    table = Table(("rule", "time", "relative", "ranges", "columns", "of the cap"))
    for row in sorted(costs["rules"], key=lambda row: -row["ns"]):
        size = rounded_size(row["range_bytes"]) if row["range_bytes"] else "none"
        shares = f"{row['relative']:.0%}", f"{row['share_of_cap']:.0%}"
        table.add(row["rule"], f"{row['ns']:,} ns", shares[0], size, cell(row["columns"]), shares[1])
    total, caps = costs["total"], costs["caps"]
    count = f"{len(costs['rules']):,} of at most {counted(caps['rules'], 'rule')}"
    memory = (
        f"{rounded_size(total['range_bytes'])} of ranges and {rounded_size(total['state_bytes'])} of state"
    )
    fleet = counted(total["devices"], "device")
    return [
        table,
        Line(f"in all: {count}, {total['ns']:,} ns; {memory} if every rule runs on {fleet}"),
        Line(
            f"time: of a reading on this machine while no alert changes; ranges: of a device; cap: {caps['nodes']}"
            " values, operators and calls in an expression"
        ),
    ]
