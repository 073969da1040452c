"""The table at the end: the fleet's ledger against the gateway's store, every row computed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fleet_demo.story import LOST, OFFLINE_MS, Story
from fleet_sim.cli.judging import influx_of_run, newest_status
from fleet_sim.judging.grade import Alert, Grade, grade
from fleet_sim.judging.stored import window_rows
from fleet_sim.judging.terms import Terms, gateway_terms
from fleet_sim.judging.verify import Comparison, compare
from fleet_sim.ledger.reading import Ledger, read_ledger
from fleet_sim.runtime.fleet import RunResult


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
    comparison = await asyncio.to_thread(compare, ledger, terms, window_rows(stored), "history")
    seen = [
        Alert(
            row["id"], row["rule"], row["level"], row["state"], row["subject"], int(row["at"]), row["event"]
        )
        for row in alerts
    ]
    return [
        *_delivery(comparison),
        *await _database(story, ledger, terms),
        *_alerting(story, grade(ledger, seen)),
        *_surviving(story),
    ]


def _delivery(found: Comparison) -> list[Row]:
    return [
        Row(
            "every acknowledged number is stored",
            f"{found.readings:,} acknowledged, lost {found.lost}; states have no windows",
            not found.lost,
        ),
        Row("no reading is counted twice", f"double {found.double}", not found.double),
        Row(
            "every window is exact",
            f"wrong {found.wrong} of {found.windows:,}",
            bool(found.windows) and not found.wrong,
        ),
    ]


async def _database(story: Story, ledger: Ledger, terms: Terms) -> list[Row]:
    """Compare the same windows in InfluxDB, if the demo has one."""
    if story.influx is None:
        return []
    place = story.influx
    await story.gateway.until(
        "InfluxDB has every line",
        lambda report: not any(sink["waiting"]["lines"] for sink in report["sinks"].values()),
    )
    found = await asyncio.to_thread(
        lambda: compare(ledger, terms, influx_of_run(ledger, terms, place), "InfluxDB")
    )
    right = bool(found.windows) and found.ok
    return [Row("InfluxDB holds the same windows", f"wrong {found.wrong} of {found.windows:,}", right)]


def _alerting(story: Story, found: Grade) -> list[Row]:
    rules = found.rules.values()
    missed, false = sum(rule.missed for rule in rules), sum(rule.false for rule in rules)
    expected = sum(rule.expected for rule in rules)
    done, twice = found.commands.executed, found.commands.executed_twice
    return [
        Row(
            "no alert missed, false or repeated",
            f"expected {expected}, missed {missed}, false {false}, repeated {found.repeated}",
            bool(expected) and not (missed or false or found.repeated),
        ),
        Row(
            "each command is executed once",
            f"{done} executed, {twice} twice; reading to command {story.told.reaction_ms:.0f} ms",
            done > 0 and done == len(set(story.watcher.command_ids())) and not twice,
        ),
    ]


def _surviving(story: Story) -> list[Row]:
    told = story.told
    kept = len(told.ids_before & told.ids_after)
    return [
        Row(
            "kill -9 changes nothing",
            f"{told.caught_up:,} messages caught up {told.caught_up_s:.0f} s after the kill, "
            f"{told.recovered_ms / 1000:.1f} s of them to read the journal again; "
            f"{kept} of {len(told.ids_before)} alert ids the same",
            bool(told.ids_before) and told.ids_before == told.ids_after,
        ),
        Row(
            "a broken rule file changes nothing",
            "the old rules stayed in force until it was fixed" if told.rules_kept else "the rules changed",
            told.rules_kept and told.rules_mended,
        ),
        Row(
            f"{OFFLINE_MS // 1000} s offline lose no reading",
            f"all {told.whole} messages of {LOST} stored, {told.of_lateness}",
            told.whole > 0 and not told.lost and not told.commands_by_lateness,
        ),
    ]
