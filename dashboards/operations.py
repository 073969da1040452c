"""Dashboards for those who run the fleet: alerts, and the gateways themselves."""

from __future__ import annotations

from typing import Any

from dashboards import common as c
from dashboards import flux
from dashboards.cells import AMBER, BLUE, GREEN, RED, dashboard, lines, row, stat, table, wide

COUNTERS = (
    *(
        "received",
        "new",
        "duplicate",
        "not_known",
        "quarantined",
        "accepted",
        "late_merged",
        "too_late",
        "bad",
    ),
    *("refused", "sinks_influx_failures", "sinks_influx_refused_lines"),
)


def alerts() -> dict[str, Any]:
    """When alerts began, why, and which rules ring most."""
    none = "No alert in the time range"
    began = {"times": "began"}
    rules, subjects = flux.onsets_by("rule"), flux.onsets_by("device")
    return dashboard(
        "fleet-alerts",
        "Alerts",
        "When alerts began and ended, with their cause, and which rules ring most",
        row(
            2,
            c.firing_count("critical", RED),
            c.firing_count("warning", AMBER),
            stat("Began", flux.transitions("firing"), note=none, steps={0: BLUE}),
            stat("Ended", flux.transitions("resolved"), note=none, steps={0: BLUE}),
        ),
        row(4, lines("Alerts that began or escalated", flux.onsets_over_time(), note=none, geom="step")),
        row(5, c.transitions_table()),
        row(
            4,
            wide(6, c.firing_table()),
            wide(3, table("Rules that ring most", rules, {"rule": "rule", **began}, note=none, digits=0)),
            wide(
                3,
                table(
                    "Subjects that ring most", subjects, {"device": "subject", **began}, note=none, digits=0
                ),
            ),
        ),
    )


def gateway() -> dict[str, Any]:
    """The gateways themselves: what came, what was lost of it, and what waits."""
    none = "No counters of a gateway in the time range"
    received = f"{flux.increase('received')}\n    |> group()\n    |> sum()"
    columns = {"gateway": "gateway", "counter": "counter", "grown": "increase"}
    growth = table("In the time range", flux.growth(*COUNTERS), columns, note=none, order="counter", digits=0)
    disk = flux.level_of("spool_bytes_journal", "spool_bytes_checkpoints", "spool_bytes_quarantine", part=1e6)
    lost = flux.rate_of("bad", "refused", "too_late", "not_known")
    return dashboard(
        "fleet-gateway",
        "Gateways",
        "What gateways received, did not count, and have waiting",
        row(
            2,
            c.heard(),
            stat("Messages", received, note=none, steps={0: BLUE}),
            c.not_counted(),
            c.gateway_now("Missing now", "gaps_messages", {0: GREEN, 1: AMBER}),
            c.gateway_now("Lines waiting now", "sinks_influx_waiting_lines", {0: GREEN, 100_000: AMBER}),
            c.gateway_now("Commands pending now", "commands_pending", {0: GREEN, 10: AMBER}),
        ),
        row(
            4,
            lines("Messages a second", flux.rate_of("received", "new", "duplicate"), note=none, unit="/s"),
            lines("Values not counted", lost, note=none, unit="/s", geom="step"),
        ),
        row(
            4,
            lines(
                "Lines that wait for InfluxDB",
                flux.level_of("sinks_influx_waiting_lines"),
                note=none,
                geom="step",
            ),
            lines("Delay from the broker", flux.level_of("broker_lag"), note=none, unit="ms"),
        ),
        row(
            4,
            lines("Disk: journal, checkpoints, quarantine", disk, note=none, unit="MB", geom="step"),
            growth,
        ),
    )
