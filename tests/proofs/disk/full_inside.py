"""A whole gateway in this process, under load, on a disk that is full from its n-th write on.

        made-up deliveries ──▶ session ─▶ source ─▶ engine ─▶ journal, store, checkpoints ─▶ FullDisk
              ▲                   │
              └── acknowledged ◀──┘          only the two connections are not the gateway's own

While the disk is full the load continues. Everything acknowledged by then must be in a copy of the disk as a kill would
leave it, nothing more may be acknowledged, the alarm must be raised, and with the reserve released a checkpoint must be
written. Then the disk is freed, and the gateway must continue by itself.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from edge_gateway.configuration.credentials import Credentials
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.journal.reserve import Reserve
from edge_gateway.journal.spool import CHECKPOINTS, JOURNAL, RESERVE
from edge_gateway.recovery.startup import Startup, recover_spool
from edge_gateway.service.app import SpoolRecovery
from edge_gateway.service.gateway import Gateway
from edge_gateway.service.local_api import LocalEndpoint
from edge_gateway.service.watchdog import ProgressMark, Watchdog
from edge_gateway.status.catalogue import Problem
from edge_gateway.store.database import Store
from edge_gateway.store.history import History
from fleet_wire.session import SessionOptions
from fleet_wire.telemetry import encode_telemetry
from fleet_wire.topics import TELEMETRY, device_topic
from tests.proofs.disk.full_disk import FullDisk
from tests.proofs.disk.no_broker import FakeControlClient, FakeSession
from tests.proofs.ground.failpoints import Attribute
from tests.proofs.ground.inside import GATEWAY, GivenClock, configuration

SITE: Final = "s"
DEVICES: Final = 4
BATCHES: Final = 24
STEP: Final = 250
WITHIN: Final = 30.0
RESERVE_SIZE: Final = 1 << 20
LITTLE: Final = 1 << 14
"""Bytes; with so many left no alarm is due."""
NO_END: Final = (1 << 32) - 2
"""SQLite's largest number of pages."""
SOON: Final = 0.02
SHORT_INTERVALS: Final = {
    "edge_gateway.service.maintenance:LOOK_EVERY": SOON,
    "edge_gateway.service.maintenance:CHECKPOINT_EVERY": 0.15,
    "edge_gateway.service.app:RETRY_EVERY": SOON,
    "edge_gateway.service.disk_guard:MARGIN": RESERVE_SIZE,
}
"""Shorter intervals, so that a run takes a second."""


@dataclass(slots=True)
class FullDiskRun:
    """What one run sent, and what became of it."""

    calls: list[str] = field(default_factory=list)
    sent: int = 0
    acknowledged: int = 0
    windows: int = 0
    lost: int = 0
    double: int = 0
    wrong: int = 0
    resumed_in: float | None = None
    with_reserve: bool = False
    forbidden: list[tuple[str, str]] = field(default_factory=list)


async def live(place: Path, nth: int | None, *, store_too: bool = False) -> FullDiskRun:
    """Run one gateway on a disk that is full from its n-th write on and is freed later; return what it found.

    `store_too`: meanwhile SQLite's file may not grow either.
    """
    disk = FullDisk(nth)
    run = _Run(place, disk, store_too=store_too)
    with _short_intervals(), disk.installed():
        await run.play()
    run.found.calls = disk.calls
    judge(run)
    return run.found


@contextmanager
def _short_intervals() -> Iterator[None]:
    """Change constants while the block runs, and silence the expected log lines."""
    kept = {name: Attribute.parse(name).resolve()[2] for name in SHORT_INTERVALS}
    log = logging.getLogger("edge_gateway")
    level = log.level
    log.setLevel(logging.CRITICAL)
    for name, value in SHORT_INTERVALS.items():
        Attribute.parse(name).put(value)
    try:
        yield
    finally:
        log.setLevel(level)
        for name, value in kept.items():
            Attribute.parse(name).put(value)


class _Run:
    def __init__(self, place: Path, disk: FullDisk, *, store_too: bool) -> None:
        self.store_too = store_too
        self.place = place / "spool"
        self.place.mkdir(parents=True)
        (place / "rules").mkdir()
        (place / "rules" / "none.yaml").write_text("version: 1\ngroups: []\n")
        self.disk = disk
        self.clock = GivenClock(now=1_790_000_000_000)
        self.config: GatewayConfig = configuration(
            self.place,
            rules={"path": str(place / "rules")},
            http={"listen": None},
            spool={"path": str(self.place), "commit_interval": "10ms", "durability": "power"},
            windows=[{"every": "1s", "bucket": "base", "keep": "30d"}],
            time={"allowed_lateness": "0s", "idle_close": "300ms"},
        )
        self.found = FullDiskRun()
        self.expected: Counter[tuple[str, int]] = Counter()
        self.gateway: Gateway | None = None
        self.endpoint = LocalEndpoint()
        self.stop = asyncio.Event()

    def recover(self, place: Path | None = None) -> Startup:
        return recover_spool(place or self.place, self.config, GATEWAY, self.clock)

    async def play(self) -> None:
        start = SpoolRecovery(self.place, self.endpoint, ProgressMark())
        freeing = asyncio.create_task(self._free_when_full())
        recovered = await start.recover(self.recover, self.stop)
        assert recovered is not None
        gateway = Gateway(
            config=self.config,
            name=GATEWAY,
            clock=self.clock,
            startup=recovered,
            credentials=Credentials(self.config),
            connect_options=lambda: SessionOptions(host="", port=0, client_id=GATEWAY),
            clients=cast("Any", FakeControlClient),
        )
        self.session = FakeSession(gateway._source._take_in)
        gateway._source._session = cast("Any", self.session)
        gateway._reserve = Reserve(self.place / RESERVE, size=RESERVE_SIZE)
        await gateway.open()
        gateway._commits._worker.retry_delay = gateway._store._worker.retry_delay = SOON
        serving = asyncio.create_task(gateway.serve(self.stop, Watchdog()))
        self.gateway = gateway
        await self._load(serving)
        await freeing
        await self._settle(serving)
        self.stop.set()
        await serving
        await gateway.close()

    async def _load(self, serving: asyncio.Task[None]) -> None:
        for number in range(BATCHES):
            self.deliver_batch(number)
            await asyncio.sleep(SOON)
            if serving.done():
                await serving
        if not self.disk.full and self.disk.nth is not None:
            self.disk.free()

    def deliver_batch(self, number: int) -> None:
        """Deliver a reading of each device, with a time a quarter of a second after the previous one."""
        at = self.clock.now = self.clock.now + STEP
        messages = []
        for device in range(DEVICES):
            name = f"d{device}"
            self.expected[name, at - at % 1000] += 1
            reading = encode_telemetry(1, self.found.sent // DEVICES, at, {"heat": float(number)})
            messages.append((device_topic(SITE, name, TELEMETRY), reading))
        self.found.sent += len(messages)
        self.session.deliver(messages)

    async def _free_when_full(self) -> None:
        while not self.disk.full:
            if self.disk.nth is None:
                return
            await asyncio.sleep(0)
        await self._expect(
            lambda: self.gateway is not None or "is full" in self.endpoint.message,
            "said nothing while it waited",
        )
        if self.gateway is not None:
            await self._while_full(self.gateway)
        self.disk.free()
        freed = time.monotonic()
        await self._expect(self._well, "did not go on by itself")
        self.found.resumed_in = time.monotonic() - freed

    def _well(self) -> bool:
        gateway = self.gateway
        if gateway is None:
            return False
        troubles = [one.code for one in gateway.problems if one.code != "spool_lost"]
        return not troubles and gateway._disk_guard.accepting.is_set()

    async def _while_full(self, gateway: Gateway) -> None:
        checkpoint = gateway._maintenance.checkpointed
        await self._cap_store(gateway, cap=self.store_too)
        accepting = gateway._disk_guard.accepting
        await self._expect(
            lambda: (
                Problem.DISK in gateway.problems or (accepting.is_set() and (self.disk.room or 0) > LITTLE)
            ),
            "no alarm",
        )
        if not accepting.is_set():
            await self._with_reserve(gateway, checkpoint)
        self._kill_now(len(self.session.acknowledged))
        await self._cap_store(gateway, cap=False)

    async def _with_reserve(self, gateway: Gateway, checkpoint: int) -> None:
        """Check the released reserve: the fold is committed, a checkpoint written, nothing new accepted."""
        self.found.with_reserve = True
        await asyncio.sleep(5 * SOON)
        await self._expect(lambda: not gateway._commits.pending, "what was folded is not committed")
        if not self.store_too:
            await self._expect(
                lambda: gateway._maintenance.checkpointed > checkpoint, "no checkpoint from the reserve"
            )
        await asyncio.sleep(SOON)
        before = len(self.session.acknowledged)
        self.deliver_batch(BATCHES)
        await asyncio.sleep(5 * SOON)
        if len(self.session.acknowledged) > before:
            self.found.forbidden.append(("acknowledged without room", f"{self.disk.refused} writes refused"))

    async def _cap_store(self, gateway: Gateway, *, cap: bool) -> None:
        """Forbid SQLite's file to grow, or allow it again."""

        def capped(store: Store) -> None:
            pages = store._db.execute("PRAGMA page_count").fetchone()[0] if cap else NO_END
            store._db.execute(f"PRAGMA max_page_count={pages}")

        await gateway._store.call(capped)

    def _kill_now(self, acknowledged: int) -> None:
        """Check that what a kill would leave holds everything acknowledged."""
        copy = self.place.with_name("copy")
        for part in (JOURNAL, CHECKPOINTS):
            with suppress(FileNotFoundError):
                shutil.copytree(self.place / part, copy / part)
        disk, self.disk.room = self.disk.room, None
        nth, self.disk.nth = self.disk.nth, None
        after = self.recover(copy)
        new = after.state.pipeline.admission.accounting.totals()["new"]
        after.store.close()
        self.disk.room, self.disk.nth = disk, nth
        if new < acknowledged:
            self.found.lost += acknowledged - new
            self.found.forbidden.append(
                ("lost by a kill while full", f"{new} of {acknowledged} acknowledged")
            )

    async def _expect(self, holds: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + WITHIN
        while not holds():
            if time.monotonic() > end:
                said = (
                    [(one.code, one.text) for one in self.gateway.problems]
                    if self.gateway
                    else self.endpoint.message
                )
                self.found.forbidden.append((otherwise, f"after {len(self.disk.calls)} calls: {said}"))
                return
            await asyncio.sleep(SOON / 4)

    async def _settle(self, serving: asyncio.Task[None]) -> None:
        """Wait until everything is acknowledged, closed and stored."""
        assert self.gateway is not None
        pipeline, store = self.gateway._pipeline, self.gateway._store
        await self._expect(
            lambda: (
                serving.done()
                or (
                    len(self.session.acknowledged) == self.found.sent
                    and not pipeline.windows.open_readings
                    and not store.pending
                    and not store.facts.late_pending
                )
            ),
            "not settled",
        )


def judge(run: _Run) -> None:
    """Compare what is stored with what was sent."""
    found = run.found
    found.acknowledged = len(run.session.acknowledged)
    held: Counter[tuple[str, int]] = Counter()
    with History.open(run.place, [1000]) as history:
        for row in history.query("windows"):
            held[row["device"], row["start"]] += row["count"]
    found.windows = len(run.expected)
    found.lost += (run.expected - held).total()
    found.double += (held - run.expected).total()
    found.wrong += sum(held[key] != count for key, count in run.expected.items())
    again = run.recover()
    new = again.state.pipeline.admission.accounting.totals()["new"]
    again.store.close()
    if new != found.sent or again.findings:
        found.forbidden.append(("not whole after a restart", f"{new} of {found.sent}, {again.findings}"))
