"""The story of the demo: what happens, and when."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge_gateway.mqtt.embedded import EmbeddedBroker
from fleet_config.counting import counted
from fleet_demo.gateway_process import PATIENCE, GatewayProcess
from fleet_demo.narrator import Narrator
from fleet_demo.waiting import awaiting, until
from fleet_demo.watcher import Seen, Watcher
from fleet_sim.devices.counters import Snapshot
from fleet_sim.judging.stored import InfluxPlace
from fleet_sim.runtime.fleet import FleetRun, RunOptions, RunResult
from fleet_sim.runtime.live import figures
from fleet_sim.scenario.broker import endpoint_of
from fleet_sim.scenario.loading import load_scenario, scaled

HERE = Path(__file__).resolve().parent
WARM = "frz-00042"
LOST = "frz-00007"
LIMIT = -10.0
OFFLINE_MS = 11_000


@dataclass(slots=True)
class Told:
    """What the story measured, for the table at its end."""

    fired: list[str] = field(default_factory=list)
    reaction_ms: float = 0.0
    recovered_ms: int = 0
    """In which the gateway read its journal again, by its own count; `caught_up_s` are from kill to caught up."""
    caught_up_s: float = 0.0
    caught_up: int = 0
    ids_before: frozenset[str] = frozenset()
    ids_after: frozenset[str] = frozenset()
    rules_kept: bool = False
    rules_mended: bool = False
    whole: int = 0
    """Messages of the device that was offline, all of them stored."""
    lost: int = 0
    """Of its messages, those that will never come."""
    late: int = 0
    """Of its readings, those that came after their window was closed; there need be none."""
    commands_by_lateness: int = 0

    @property
    def of_lateness(self) -> str:
        """What lateness did."""
        caused = counted(self.commands_by_lateness, "command")
        return f"{counted(self.late, 'reading')} late and merged, {caused} caused"


@dataclass(slots=True)
class Story:
    """The parts of the demo, and the scenes they play."""

    directory: Path
    broker: EmbeddedBroker
    gateway: GatewayProcess
    fleet: FleetRun
    watcher: Watcher
    narrator: Narrator
    influx: InfluxPlace | None = None
    told: Told = field(default_factory=Told)
    last: Snapshot | None = None
    _second: asyncio.Event = field(default_factory=asyncio.Event)

    async def play(self) -> RunResult:
        """Play every scene; return the fleet's result, and leave the measurements in `told`."""
        self.fleet.on_second = self._heard
        run = asyncio.create_task(self.fleet.run(), name="fleet")
        show = asyncio.create_task(self._show(), name="live")
        try:
            for scene in (
                self._rise,
                self._look,
                self._lose_cooling,
                self._kill,
                self._break_rules,
                self._go_offline,
            ):
                await _unless_ended(scene(), run)
            self.fleet.stop("finished")
            result = await run
        finally:
            show.cancel()
            run.cancel()
        await self._drain()
        return result

    async def run_again(self) -> None:
        """Run another fleet of the same kind until cancelled."""
        fleet = _fleet(
            self.directory, self.broker, len(self.fleet.plans), self.fleet.scenario.seed, run="run-2"
        )
        fleet.on_second = self._heard
        show = asyncio.create_task(self._show(), name="live")
        try:
            await fleet.run()
        finally:
            show.cancel()

    def _heard(self, snapshot: Snapshot) -> None:
        self.last = snapshot
        self._second.set()

    async def _show(self) -> None:
        while True:
            await self._second.wait()
            self._second.clear()
            report = await self.gateway.report()
            said = figures(self.last) if self.last else ""
            if report is not None:
                values, alerts = report["values"], report["alerts"]
                said += f"  stored {values['accepted']:,}  firing {alerts['firing']}"
            self.narrator.show(said)

    async def _rise(self) -> None:
        count = len(self.fleet.plans)
        await until(
            f"all {count:,} devices are connected",
            lambda: self.last is not None and self.last.up >= count,
            PATIENCE,
        )
        self.narrator.tell(f"all {count:,} devices are connected, each with its own connection")

    async def _look(self) -> None:
        await self._until(11)
        async with awaiting(f"a window of {WARM} is stored", PATIENCE):
            while not (rows := await self._windows()):  # noqa: ASYNC110 - another process's history has no event
                await asyncio.sleep(0.5)
        self.narrator.tell(f"first windows stored; those of {WARM} so far, 5 s each:")
        self._draw(rows)

    async def _lose_cooling(self) -> None:
        await self._until(13)
        self.fleet.start_fault(
            "heat_up",
            {"device": WARM},
            metric="temperature",
            expect_alert={"rule": "FreezerTooWarm", "within": "30s"},
        )
        self.narrator.tell(f"FAULT {WARM} loses its cooling (recorded in the ledger)", "yellow")
        alert = await self.watcher.first_alert(WARM, "firing", 60)
        self.narrator.tell(f"ALERT {_rule(alert)} critical: {_summary(alert)}", "bold red")
        answer = await self.watcher.first_ack(WARM, 30)
        command = self.watcher.commands(WARM)[0]
        self.told.reaction_ms = command.at - alert.message.at  # type: ignore[union-attr]
        self.narrator.tell(
            f"command {command.message.name} sent, {WARM} answered '{answer.message.outcome}' "  # type: ignore[union-attr]
            f"after {answer.at - command.at:.0f} ms; reading to command {self.told.reaction_ms:.0f} ms",
            "green",
        )
        resolved = await self.watcher.first_alert(WARM, "resolved", 60)
        self.told.fired = [alert.message.id, resolved.message.id]
        rows = await self._windows()
        self.narrator.tell(f"RESOLVED {WARM} is cold again", "green")
        self._draw(rows)

    async def _kill(self) -> None:
        await self._until(30)
        self.told.ids_before = await self._alert_ids()
        before = self.fleet.snapshot().acked
        await self.gateway.kill()
        killed = self.narrator.seconds
        self.narrator.tell("kill -9 of the gateway; the fleet carries on", "yellow")
        await asyncio.sleep(3)
        waiting = self.fleet.snapshot().acked - before
        self.narrator.tell(f"meanwhile the broker has queued {waiting:,} messages")
        await self.gateway.start()
        report = await self.gateway.until(
            "the gateway has caught up", lambda report: bool(report["broker"]["caught_up"])
        )
        self.told.recovered_ms, self.told.caught_up = report["spool"]["recovered_in_ms"], waiting
        self.told.caught_up_s = self.narrator.seconds - killed
        self.told.ids_after = await self._alert_ids()
        same = "unchanged" if self.told.ids_before == self.told.ids_after else "CHANGED"
        self.narrator.tell(
            f"restarted, and caught up with {waiting:,} messages {self.told.caught_up_s:.0f} s after the kill; "
            f"{self.told.recovered_ms / 1000:.1f} s of them to read its journal again; alert ids {same}",
            "green",
        )

    async def _break_rules(self) -> None:
        await self._until(38)
        file = self.gateway.rules / "cold-chain.yaml"
        good = file.read_text()
        before = (await self.gateway.until("the gateway answers", _any))["rules"]
        file.write_text(good.replace("above: -10", "abov: -10"))
        broken = await self.gateway.until(
            "the gateway reports the broken rule file", lambda report: bool(report["rules"]["problems"])
        )
        self.told.rules_kept = broken["rules"]["hash"] == before["hash"]
        self.narrator.tell("a mistake in the rule file; the old rules stay in force:", "yellow")
        self.narrator.add(str(broken["rules"]["problems"][0]).replace(f"{self.directory}/", ""))
        file.write_text(good.replace("above: -10", "above: -9.5"))
        mended = await self.gateway.until(
            "the mended rules are in force",
            lambda report: not report["rules"]["problems"] and report["rules"]["hash"] != before["hash"],
        )
        self.told.rules_mended = mended["rules"]["count"] == before["count"]
        self.narrator.tell("fixed, with a new limit of -9.5 °C: reloaded, alert state kept", "green")

    async def _go_offline(self) -> None:
        await self._until(43)
        late = (await self._lost_device("is known", lambda _: True))["counters"]["late_merged"]
        commands = len(self.watcher.commands())
        self.fleet.disconnect({"device": LOST}, OFFLINE_MS)
        self.narrator.tell(f"{LOST} is offline for {OFFLINE_MS // 1000} s and keeps measuring", "yellow")
        newest = await self._newest_after_return()
        device = await self._lost_device(
            f"has stored messages up to {newest} without a gap",
            lambda device: (device["top_seq"] or 0) >= newest and not device["gaps"],
        )
        await self.gateway.until(
            "late readings are merged into stored windows", lambda report: not report["store"]["late_pending"]
        )
        counters = device["counters"]
        self.told.whole = device["top_seq"] + 1
        self.told.lost = counters["lost_at_device"] + counters["given_up"]
        self.told.late = counters["late_merged"] - late
        self.told.commands_by_lateness = len(self.watcher.commands()) - commands
        self.narrator.tell(
            f"{LOST} is back, live readings first, then its buffer: all its {self.told.whole} messages are stored, "
            f"{self.told.of_lateness}",
            "green",
        )
        await self._until(52)

    async def _newest_after_return(self) -> int:
        """Wait until the device was offline, is back and has sent its buffer; return its newest number then."""
        device = next(device for device in self.fleet.devices if device.identity.id == LOST)
        away = OFFLINE_MS / 1000 + PATIENCE
        await until(f"{LOST} is offline", lambda: not device.online, PATIENCE)
        await until(f"{LOST} is back", lambda: device.online, away)
        await until(f"{LOST} has sent its buffer", lambda: device.online and not device.waiting, PATIENCE)
        return device.outbox.next - 1

    async def _lost_device(self, what: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the gateway's description of the device that was offline satisfies `holds`; return it."""
        found: list[dict[str, Any]] = await self.gateway.until(
            f"{LOST} {what}",
            lambda rows: any(map(holds, rows)),
            of={"do": "devices", "device": LOST},
        )
        return found[0]

    async def _drain(self) -> None:
        """Wait until silence has closed every window and all of them are stored."""
        self.narrator.tell("the fleet stops; the gateway closes its open windows")
        await self.gateway.until("every window is closed and stored", _has_settled)

    async def _alert_ids(self) -> frozenset[str]:
        return frozenset(row["id"] for row in await self.gateway.query("alerts"))

    async def _windows(self) -> list[dict[str, Any]]:
        """Return the stored base windows of the freezer that loses its cooling."""
        return await self.gateway.query(
            "windows", "--device", WARM, "--metric", "temperature", "--every", "5s"
        )

    def _draw(self, rows: list[dict[str, Any]]) -> None:
        values = [row["max"] for row in sorted(rows, key=lambda row: row["start"])]
        title = f"temperature of {WARM} in °C, the highest of every 5 s; dashed: the limit, {LIMIT:g} °C"
        self.narrator.chart(values, LIMIT, title=title)

    async def _until(self, second: float) -> None:
        await asyncio.sleep(max(0.0, second - self.narrator.seconds))


async def _unless_ended(scene: Any, run: asyncio.Task[RunResult]) -> None:
    """Play a scene; raise if the fleet fails or ends first."""
    task = asyncio.ensure_future(scene)
    done, _ = await asyncio.wait({task, run}, return_when=asyncio.FIRST_COMPLETED)
    if task in done:
        task.result()
        return
    task.cancel()
    run.result()
    raise RuntimeError("the fleet ended before the demo did")


def _any(_: dict[str, Any]) -> bool:
    return True


def _rule(seen: Seen) -> str:
    return str(getattr(seen.message, "rule", ""))


def _summary(seen: Seen) -> str:
    return str(getattr(seen.message, "annotations", {}).get("summary", ""))


@asynccontextmanager
async def staged(
    directory: Path, *, sensors: int, seed: int, narrator: Narrator, influx: InfluxPlace | None
) -> AsyncIterator[Story]:
    """Start everything the story needs; stop it at the end of the block."""
    broker = EmbeddedBroker(directory / "broker", port=0)
    async with broker:
        narrator.tell(f"broker at {broker.url}, files in {_as_typed(directory)}")
        gateway = GatewayProcess(directory, broker.url, influx_settings(influx))
        gateway.rules.mkdir(exist_ok=True)
        (gateway.rules / "cold-chain.yaml").write_text((HERE / "rules.yaml").read_text())
        watcher = Watcher(broker.host, broker.port)
        watching = asyncio.create_task(watcher.run(), name="watch")
        try:
            if influx is not None:
                await gateway.run("influx", "apply")
                narrator.tell(f"buckets and dashboard set up at {influx.url}")
            await gateway.start()
            narrator.tell(f"gateway up, rules in {_as_typed(gateway.rules)}, windows of 5 s")
            fleet = _fleet(directory, broker, sensors, seed)
            narrator.begin()
            narrator.tell(f"fleet: cold chain, {sensors:,} sensors every 2 s, seed {seed}")
            yield Story(directory, broker, gateway, fleet, watcher, narrator, influx)
        finally:
            watching.cancel()  # and waited for: outliving the broker, it would fail on sockets that are closed
            await asyncio.gather(watching, return_exceptions=True)
            await gateway.stop()


def _fleet(directory: Path, broker: EmbeddedBroker, sensors: int, seed: int, *, run: str = "run") -> FleetRun:
    scenario = load_scenario(str(HERE / "cold-chain.yaml"), overrides=[f"seed={seed}"], env=os.environ)
    scenario = scaled(scenario, sensors=sensors, duration_ms=None, interval_ms=None)
    place = scenario.broker.model_copy(update={"url": broker.url})
    options = RunOptions(endpoint=endpoint_of(place), directory=directory / run)
    return FleetRun(scenario, replace(options, rate=2_000.0))


def influx_settings(influx: InfluxPlace | None) -> dict[str, str] | None:
    """Return the gateway's `influx` section; the token stays in the environment."""
    return None if influx is None else {"url": influx.url, "org": influx.org, "token": "env:INFLUX_TOKEN"}


def _has_settled(report: dict[str, Any]) -> bool:
    """Return whether everything the broker had is in closed and stored windows, late readings included."""
    broker, spool, store = report["broker"], report["spool"], report["store"]
    return bool(
        broker["caught_up"]
        and not broker["waiting"]
        and not broker["unacknowledged"]
        and not report["fleet"]["open_readings"]
        and not report["fleet"]["open_windows"]
        and not store["late_pending"]
        and spool["record"] == spool["committed"] == store["applied"]
    )


def _as_typed(path: Path) -> str:
    return os.path.relpath(path)
