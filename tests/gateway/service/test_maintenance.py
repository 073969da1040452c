"""The periodic tasks: how often they run, when sooner, and what their failures raise."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records.inputs import Moment, Remind, Trim
from edge_gateway.records.store_effects import Stamp
from edge_gateway.recovery.settings import fold_settings
from edge_gateway.service import maintenance as module
from edge_gateway.service.maintenance import (
    CHECKPOINT_AFTER,
    CHECKPOINT_BYTES,
    CHECKPOINT_EVERY,
    CHECKPOINT_WORTH,
    FAILURES,
    LOOK_EVERY,
    OWN_POINT_EVERY,
    Maintenance,
)
from edge_gateway.sinks.influx.sink import InfluxSink
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.clock import ClockReading, ClockState
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems
from edge_gateway.store.budget import SpoolBytes
from edge_gateway.store.database import Store
from fleet_wire.control_messages import MetricInfo
from tests.gateway.status.fed_gateway import Gateway, birth, fresh
from tests.gateway.status.reports import CLOCK, report_of, store_facts


@dataclass
class Parts:
    """Stands in for every part a task of these tests uses."""

    request_checkpoint: Any = None
    budget: int = 0
    total_bytes: int = 0
    now: int = 0
    state: ClockState = ClockState.PLAUSIBLE
    aged: int = 1_600_000_000_000
    lines: list[tuple[bytes, int]] = field(default_factory=list)
    pipeline: Pipeline = field(default_factory=fresh)

    async def check(self) -> None:
        pass

    def wall(self) -> int:
        return 1_700_000_000_000

    def monotonic(self) -> int:
        return self.now

    def read(self) -> ClockReading:
        return ClockReading(self.wall(), self.state, None, self.aged)

    async def call(self, function: Any) -> Any:
        return function(cast("Store", self))

    def enqueue(self, line: bytes, at: int) -> None:
        self.lines.append((line, at))


def maintenance_of(parts: Parts, *, sinks: tuple[str, ...] = (), **sections: Any) -> Maintenance:
    some = cast("Any", parts)
    return Maintenance(
        config=GatewayConfig.model_validate({"mqtt": {"url": "mqtt://localhost"}, **sections}),
        clock=some,
        name="gw",
        state=some,
        listening=some,
        engine=some,
        store=some,
        journal=some,
        disk_guard=some,
        control=some,
        own_alerts=some,
        sinks=dict.fromkeys(sinks, some),
        report=lambda: report_of(counters=Counters(rule_reloads=7)),
        counters=Counters(),
        problems=Problems(lambda: 0),
        checkpointed=0,
    )


@pytest.mark.parametrize(("every", "seconds"), [("10s", 10), ("1m", 60), ("10m", 60), ("1h", 60)])
def test_the_gateways_own_point_is_due_per_window_and_at_least_every_minute(every: str, seconds: int) -> None:
    windows = [{"every": every, "bucket": "telemetry", "keep": "30d"}]
    assert maintenance_of(Parts(), windows=windows)._tasks["own point"].seconds == seconds <= OWN_POINT_EVERY


async def test_the_gateways_own_point_is_queued_for_the_sinks_there_are() -> None:
    alone, forwarding = Parts(), Parts()
    await maintenance_of(alone)._record_own_point()
    await maintenance_of(forwarding, sinks=("influx",))._record_own_point()
    assert not alone.lines
    ((line, at),) = forwarding.lines
    assert line.startswith(b"gateway,gateway=gw ")
    assert b"rule_reloads=7i" in line
    assert line.endswith(b" %d\n" % (at * 10**6))


async def test_the_units_of_metrics_go_with_the_gateways_own_point() -> None:
    gateway, parts = Gateway(), Parts()
    gateway.take(birth("d", metrics={"t": MetricInfo(unit="bar")}))
    parts.pipeline = gateway.pipeline
    await maintenance_of(parts, sinks=("influx",))._record_own_point()
    ((line, at),) = parts.lines
    assert line.endswith(b'\nmetric,metric=t unit="bar" %d\n' % (at * 10**6))


class Trimmed(Parts):
    """A store that is to be cut at `cuts`, and an engine that keeps what it folds; `applied` waits for the record."""

    def __init__(self, *cuts: int) -> None:
        super().__init__()
        self.cuts, self.folded, self.waited = cuts, list[Any](), list[int]()

    def trim(self, now: int) -> tuple[int, ...]:
        assert now == self.aged
        return self.cuts

    def moment(self) -> Moment:
        return Moment(self.wall(), 5)

    def fold(self, given: Any) -> None:
        self.folded.append(given)

    def submit(self) -> int:
        return 7

    async def applied(self, number: int) -> None:
        self.waited.append(number)


async def test_where_the_history_is_cut_by_the_time_that_has_certainly_passed_is_folded_and_waited_for() -> (
    None
):
    parts = Trimmed(30, 20)
    await maintenance_of(parts)._trim()
    assert parts.folded == [Trim(parts.moment(), [30, 20])]
    assert parts.waited == [7]


async def test_no_record_is_made_where_nothing_is_cut() -> None:
    parts = Trimmed()
    await maintenance_of(parts)._trim()
    assert (parts.folded, parts.waited) == ([], [])


async def test_what_fires_is_told_to_sinks_again_after_a_start_once_the_time_is_known() -> None:
    gateway, parts = Gateway(), Trimmed()
    parts.pipeline = gateway.pipeline
    ids = [["a", "b"]]
    parts.pipeline.rules.firing_ids = lambda: ids[0]  # type: ignore[method-assign]
    await maintenance_of(parts)._record_own_point()
    parts.state = ClockState.BEHIND
    forwarding = maintenance_of(parts, sinks=("influx",))
    await forwarding._record_own_point()
    assert parts.folded == []
    parts.state = ClockState.PLAUSIBLE
    for _ in range(2):
        await forwarding._record_own_point()
    assert parts.folded == [Remind(parts.moment(), ["a", "b"])]
    assert parts.waited == [7]


@pytest.mark.parametrize(("budget", "most"), [(2 << 30, CHECKPOINT_BYTES), (16 << 20, 8 << 20)])
def test_a_checkpoint_comes_before_a_small_budget_is_used_up(budget: int, most: int) -> None:
    assert maintenance_of(Parts(budget=budget))._checkpoint_bytes() == most


@pytest.mark.parametrize(
    ("then", "grown", "seconds", "worth"),
    [
        (None, 0, CHECKPOINT_AFTER - 1, False),
        (None, 0, CHECKPOINT_AFTER, True),
        (90, CHECKPOINT_WORTH - 1, CHECKPOINT_EVERY, False),
        (90, CHECKPOINT_WORTH, CHECKPOINT_AFTER, True),
        (90, CHECKPOINT_WORTH, CHECKPOINT_AFTER - 1, False),
        (90, CHECKPOINT_BYTES, 0, True),
    ],
)
def test_a_checkpoint_is_written_before_its_time_where_the_journal_has_grown(
    then: int | None, grown: int, seconds: float, worth: bool
) -> None:
    parts = Parts(budget=2 << 30, total_bytes=(then or 0) + grown)
    maintenance = maintenance_of(parts)
    maintenance._journal_then = then
    parts.now = int(seconds * 1000)
    assert maintenance._is_checkpoint_worth_it() == worth


async def test_a_requested_task_runs_soon_and_is_retried_after_a_failure() -> None:
    parts = Parts()
    maintenance = maintenance_of(parts)
    tries: list[str] = []
    done = asyncio.Event()

    async def checkpoint() -> None:
        tries.append("checkpoint")
        if len(tries) == 2:
            done.set()
        raise OSError("refused")

    refused: list[Exception] = []
    cast("Any", parts).write_failed = refused.append
    maintenance._tasks["checkpoint"].do = checkpoint
    parts.request_checkpoint()
    task = asyncio.create_task(maintenance._repeat("checkpoint", maintenance._tasks["checkpoint"]))
    async with asyncio.timeout(60 * LOOK_EVERY):
        await done.wait()
    task.cancel()
    assert Problem.MAINTENANCE_CHECKPOINT in maintenance.problems
    assert isinstance(refused[0], OSError)


TASKS = ("status", "checkpoint", "trim", "own point", "disk")


@pytest.mark.problem(
    "raises",
    "maintenance_status",
    "maintenance_checkpoint",
    "maintenance_trim",
    "maintenance_own_point",
    "maintenance_disk",
)
@pytest.mark.problem(
    "clears",
    "maintenance_status",
    "maintenance_checkpoint",
    "maintenance_trim",
    "maintenance_own_point",
    "maintenance_disk",
)
async def test_a_failed_task_is_a_problem_until_it_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.0)
    for name in TASKS:
        parts = Parts()
        cast("Any", parts).write_failed = lambda _: None
        maintenance = maintenance_of(parts)
        over, seen, tries = asyncio.Event(), list[bool](), list[str]()

        async def do(name: str = name, tries: list[str] = tries) -> None:
            tries.append(name)
            if len(tries) == 1:
                raise sqlite3.OperationalError("database is locked")

        def changed(
            name: str = name,
            maintenance: Maintenance = maintenance,
            seen: list[bool] = seen,
            over: asyncio.Event = over,
        ) -> None:
            seen.append(FAILURES[name] in maintenance.problems)
            if len(seen) > 1:
                over.set()

        maintenance.problems.changed = changed
        entry = maintenance._tasks[name]
        entry.do = do
        entry.request_soon()
        task = asyncio.create_task(maintenance._repeat(name, entry))
        async with asyncio.timeout(60):
            await over.wait()
        task.cancel()
        assert seen == [True, False]


@pytest.mark.problem("raises", "sink_influx", "influx_refused", "rules_idle", "descriptors")
@pytest.mark.problem("clears", "sink_influx", "influx_refused", "rules_idle", "descriptors", "clock")
async def test_a_status_is_published_with_the_problems_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts()
    now = [0.0]
    sink = InfluxSink(
        "influx", cast("Any", None), cast("Any", None), lambda: iter([1.0]), timer=lambda: now[0]
    )
    sink.facts.problem = "the token is refused"
    sink._refusals.note("telemetry", [b"sensor x=1"], "type conflict", 0.0)
    sink._refused_anew = True
    maintenance = maintenance_of(parts)
    maintenance.problems.timer = lambda: int(now[0] * 1000)
    maintenance.sinks = {"influx": sink}
    pipeline = build_pipeline("gw", fold_settings(maintenance.config))
    idle = ["TooWarm does not run on frz-1"]
    monkeypatch.setattr(type(pipeline.rules), "idle_rules", lambda _: idle)
    short = ["at most 64 files may be open"]
    monkeypatch.setattr(module, "shortage", lambda: short[0])
    published: list[str] = []
    some = cast("Any", parts)
    some.pipeline, some.facts, some.used = pipeline, store_facts(), SpoolBytes(0, 0, 0, 0)
    some.clock_status = lambda: CLOCK
    some.publish_status = lambda: published.append("status")
    some.retell = lambda: published.append("texts")
    maintenance.problems.raise_(Problem.CLOCK, "behind")
    await maintenance._publish_status()
    assert {one.code for one in maintenance.problems} == {
        "sink_influx",
        "influx_refused",
        "rules_idle",
        "descriptors",
    }
    sink.facts.problem, idle[:], short[0], now[0] = "", [], "", 4_000.0
    await maintenance._publish_status()
    assert not list(maintenance.problems)
    assert published == ["texts", "status"] * 2


@pytest.mark.parametrize(("state", "points"), [(ClockState.PLAUSIBLE, 1), (ClockState.OUTVOTED, 0)])
async def test_no_point_of_the_gateway_is_recorded_at_a_time_that_is_doubted(
    state: ClockState, points: int
) -> None:
    parts = Parts(state=state)
    await maintenance_of(parts, sinks=("influx",))._record_own_point()
    assert len(parts.lines) == points


@dataclass
class Correcting(Parts):
    """A store with corrected points to send again."""

    pieces: list[int] = field(default_factory=lambda: [2, 2, 0])
    asked: list[tuple[int, Stamp, dict[str, int]]] = field(default_factory=list)

    def monotonic(self) -> int:
        return 100_000

    def since_unknown(self) -> float:
        return 2.5

    def repeat_corrections(self, now: int, at: Stamp, unknown: dict[str, int]) -> int:
        self.asked.append((now, at, unknown))
        return self.pieces.pop(0)


@pytest.mark.parametrize("state", [ClockState.PLAUSIBLE, ClockState.OUTVOTED])
async def test_corrected_points_are_sent_again_until_none_is_due_whatever_is_thought_of_the_clock(
    state: ClockState,
) -> None:
    parts = Correcting(state=state)
    await maintenance_of(parts, sinks=("influx",))._repeat_corrections()
    assert parts.asked == [(100_000, Stamp(1_700_000_000_000, 1_600_000_000_000), {"influx": 97_500})] * 3
    without = Correcting()
    await maintenance_of(without)._repeat_corrections()
    assert without.asked == []
