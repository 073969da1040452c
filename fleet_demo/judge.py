"""The table: ledger against store, each row computed and none of them assumed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fleet_demo.story import OFFLINE_MS, WARM, Story
from fleet_sim.cli.judging import judged, newest_status
from fleet_sim.fleet import RunResult
from fleet_sim.grade import Alert, Grade, grade
from fleet_sim.ledger_reading import Ledger, read_ledger
from fleet_sim.stored import window_rows
from fleet_sim.verify import Comparison, gateway_terms


@dataclass(frozen=True, slots=True)
class Row:
    """A claim, what was found, and whether it is true."""

    name: str
    found: str
    true: bool


async def judge(story: Story, result: RunResult) -> list[Row]:
    """Compare what the fleet's ledger says with what the gateway's history holds."""
    stored = await story.gateway.query("windows")
    alerts = await story.gateway.query("alerts")
    ledger = await asyncio.to_thread(read_ledger, result.directory)
    terms = gateway_terms(newest_status(ledger, None))
    comparison = await asyncio.to_thread(judged, ledger, terms, "history", lambda: window_rows(stored), 0.0)
    seen = [
        Alert(row["id"], row["rule"], row["level"], row["state"], row["subject"], int(row["at"]))
        for row in alerts
    ]
    return [
        *_delivery(comparison),
        *_alerting(story, ledger, grade(ledger, seen)),
        *_surviving(story),
    ]


def _delivery(found: Comparison) -> list[Row]:
    return [
        Row(
            "every acknowledged reading is stored",
            f"{found.readings:,} acknowledged, lost {found.lost}",
            not found.lost,
        ),
        Row("none is counted twice", f"double {found.double}", not found.double),
        Row(
            "every window is exact",
            f"wrong {found.wrong} of {found.windows:,}",
            bool(found.windows) and not found.wrong,
        ),
    ]


def _alerting(story: Story, ledger: Ledger, found: Grade) -> list[Row]:
    rules = found.rules.values()
    missed, false = sum(rule.missed for rule in rules), sum(rule.false for rule in rules)
    expected = sum(rule.expected for rule in rules)
    commands = found.commands
    return [
        Row("no alert missed, false or repeated",
            f"expected {expected}, missed {missed}, false {false}, repeated {found.repeated}",
            bool(expected) and not (missed or false or found.repeated)),
        Row("each command executed once",
            f"{commands.executed} executed, {commands.executed_twice} twice; reading to command {story.told.reaction_ms:.0f} ms",
            commands.executed == len(story.watcher.commands(WARM)) and not commands.executed_twice),
    ]  # fmt: skip


def _surviving(story: Story) -> list[Row]:
    told = story.told
    return [
        Row("kill -9 changes nothing",
            f"recovered in {told.recovered_ms} ms, {told.caught_up:,} messages caught up, alert ids the same",
            bool(told.ids_before) and told.ids_before <= told.ids_after),
        Row("a broken rule file changes nothing", "the old rules stayed in force until it was mended",
            told.rules_kept and told.rules_mended),
        Row(f"{OFFLINE_MS // 1000} s offline lose nothing",
            f"{told.late} late readings merged, {told.commands_by_lateness} commands by them",
            told.late > 0 and not told.commands_by_lateness),
    ]  # fmt: skip
