import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge_gateway.records.store_effects import Event, StoreEffects
from edge_gateway.store.database import Opened, Record, Store
from edge_gateway.store.schema import set_aside
from edge_gateway.store.store_thread import RECORDS_AT_ONCE, ROOM, StoreThread, group_time
from fleet_config.durations import parse_duration
from tests.gateway.store.fleet import MINUTE, T0, closed, late, named
from tests.gateway.store.stored import opened, rich, table


class Told:
    """Events of a store thread."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.texts: list[str] = []
        self._changed = asyncio.Event()

    def __call__(self, code: str, text: str) -> None:
        self.codes.append(code)
        self.texts.append(text)
        self._changed.set()

    async def until(self, code: str) -> None:
        while code not in self.codes:
            self._changed.clear()
            await self._changed.wait()


Starts = Callable[..., StoreThread]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Starts]:
    threads = []

    def begin(store: Store | None = None, **more: Any) -> StoreThread:
        def reopen(damage: str) -> Store:
            assert damage
            aside = set_aside(tmp_path / "store.sqlite", 1)
            new = opened(tmp_path)
            new.opened = Opened(created=True, set_aside=aside, damage=damage)
            return new

        options = {"retry_delay": 0.001, "late_pause": 0.0, **more}
        threads.append(StoreThread(store or opened(tmp_path), reopen, **options))
        return threads[-1]

    yield begin
    for thread in threads:
        await thread.stop(5.0)


def windows(number: int) -> StoreEffects:
    return named(windows=(closed(0, [(1, T0 + number * MINUTE, float(number))]),))


async def test_records_are_applied_in_order_and_waited_for(start: Starts) -> None:
    thread = start()
    for number in range(1, 250):
        thread.apply(number, [windows(number)])
    await thread.applied(249)
    assert (thread.facts.applied, thread.pending) == (249, 0)
    assert thread.waiting("influx").lines == 249
    assert await thread.sync() == 249


async def test_records_that_nobody_waits_for_become_one_transaction(
    start: Starts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    apply, groups, full = store.apply, [], asyncio.Event()
    loop = asyncio.get_running_loop()

    def noted(records: Sequence[Record]) -> None:
        groups.append([number for number, _ in records])
        apply(records)
        if groups[-1][0] == 7:
            loop.call_soon_threadsafe(full.set)

    monkeypatch.setattr(store, "apply", noted)
    thread = start(store, group_for=3600.0)
    thread.apply(1, [windows(1)])
    await thread.applied(1)
    for number in range(2, 7):
        thread.apply(number, [windows(number)])
    await thread.call(lambda _: None)
    assert thread.facts.applied == 1
    await thread.applied(6)
    for number in range(7, 7 + RECORDS_AT_ONCE):
        thread.apply(number, [windows(number)])
    await full.wait()
    assert groups[:2] == [[1], [2, 3, 4, 5, 6]]


@pytest.mark.parametrize(("every", "seconds"), [("1s", 1.0), ("30s", 2.5), ("1m", 5.0), ("1h", 5.0)])
def test_records_are_collected_for_little_of_a_window(every: str, seconds: float) -> None:
    assert group_time(parse_duration(every)) == seconds


async def test_room_is_waited_for_and_comes(start: Starts) -> None:
    thread = start()
    entered, go = threading.Event(), threading.Event()

    def hold(_: Store) -> None:
        entered.set()
        go.wait()

    held = asyncio.create_task(thread.call(hold))
    await asyncio.to_thread(entered.wait)
    for number in range(1, ROOM + 20):
        thread.apply(number, [windows(number)])
    waiting = asyncio.create_task(thread.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    go.set()
    await asyncio.gather(held, waiting)
    assert thread.pending <= ROOM


async def test_a_sink_waits_for_lines_and_gets_them(start: Starts) -> None:
    thread = start()
    taking = asyncio.create_task(thread.take("influx"))
    await thread.sync()
    assert not taking.done()
    thread.apply(1, [windows(1)])
    parcel = await taking
    assert parcel.lines == 1
    await thread.call(lambda store: store.done(parcel))
    assert thread.waiting("influx").chunks == 0


async def test_late_readings_are_merged_when_nothing_else_is_due(start: Starts) -> None:
    thread = start()
    thread.apply(1, [windows(1)])
    thread.apply(2, [StoreEffects(T0, late=late([(1, T0 + MINUTE + 5, 9.0)], tiers=1))])
    lines: list[bytes] = [b""]
    while b"count=2i" not in lines[-1]:  # the line before it is left out where it was still waiting
        parcel = await thread.take("influx")
        lines += parcel.body.splitlines()
        await thread.call(partial(Store.done, parcel=parcel))
    assert thread.facts.late_pending == 0


class Refusing:
    """Makes a store's method fail so many times."""

    def __init__(self, patch: pytest.MonkeyPatch, method: str, code: int, times: int) -> None:
        self.left = times
        original = getattr(Store, method)

        def refuse(store: Store, *arguments: Any) -> Any:
            if self.left:
                self.left -= 1
                error = sqlite3.OperationalError("refused")
                error.sqlite_errorcode = code
                raise error
            return original(store, *arguments)

        patch.setattr(Store, method, refuse)


async def test_a_full_disk_stalls_records_but_not_calls_and_all_goes_on_by_itself(
    start: Starts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    refusing = Refusing(monkeypatch, "apply", sqlite3.SQLITE_FULL, 10**9)
    thread = start(on_event=told)
    for number in range(1, 4):
        thread.apply(number, [windows(number)])
    await told.until("store_stalled")
    assert str(thread.refusal) == "refused"
    assert await thread.call(lambda store: store.facts().applied) == 0
    refusing.left = 0
    await thread.applied(3)
    await told.until("store_resumed")
    assert told.codes == ["store_stalled", "store_resumed"]
    assert told.texts[0] == f"{tmp_path / 'store.sqlite'}: refused"
    assert thread.facts.waiting["influx"].lines == 3


@pytest.mark.parametrize("method", ["apply", "run_late"])
async def test_a_damaged_store_is_replaced_and_records_go_on(
    start: Starts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    told = Told()
    Refusing(monkeypatch, method, sqlite3.SQLITE_CORRUPT, 1)
    thread = start(on_event=told)
    thread.apply(1, [windows(1), named(late=late([(1, T0 + MINUTE, 1.0)], tiers=1))])
    await told.until("store_lost")
    thread.apply(2, [windows(2)])
    await thread.applied(2)
    path, aside = tmp_path / "store.sqlite", tmp_path / "store.sqlite.corrupt-1"
    assert aside.exists()
    assert told.codes == ["store_lost"]
    assert told.texts == [f"{path}: refused; set aside as {aside}; what can be read is brought back"]


@pytest.mark.parametrize("change", ["row = X'00'", "row = 7", "start = start + 60000"])
async def test_a_window_that_is_not_what_was_stored_is_found_though_nobody_asks_for_it(
    start: Starts, tmp_path: Path, change: str
) -> None:
    store = opened(tmp_path)
    store.apply([(1, [windows(1)])])
    store.close()
    with sqlite3.connect(tmp_path / "store.sqlite") as db:
        db.execute(f"UPDATE window SET {change}")
    db.close()
    told = Told()
    start(opened(tmp_path), on_event=told)
    await told.until("store_lost")
    assert "checksum mismatch in table window: series 2, start " in told.texts[0]


async def test_damage_met_by_a_call_reaches_the_caller_and_the_store_is_replaced(
    start: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    Refusing(monkeypatch, "take", sqlite3.SQLITE_NOTADB, 1)
    thread = start(on_event=told)
    with pytest.raises(sqlite3.OperationalError):
        await thread.take("influx")
    await told.until("store_lost")
    thread.apply(1, [windows(1)])
    assert (await thread.take("influx")).lines == 1


async def test_a_record_that_cannot_be_applied_is_passed_over_and_noted(start: Starts) -> None:
    told = Told()
    thread = start(on_event=told)
    for number in range(1, 10):
        unstorable = StoreEffects(T0, events=(Event("code", "text", 1 << 70),))
        thread.apply(number, [windows(number), unstorable] if number in {4, 5} else [windows(number)])
    await thread.applied(9)
    assert told.codes.count("record_refused") == 2
    rows = await thread.call(lambda store: (table(store, "event"), table(store, "window")))
    assert [row[2] for row in rows[0]] == ["record_refused", "record_refused"]
    assert "record 4: OverflowError" in rows[0][0][3]
    assert len(rows[1]) == 7


async def test_stop_applies_what_is_queued(start: Starts, tmp_path: Path) -> None:
    thread = start()
    for number in range(1, 150):
        thread.apply(number, [windows(number)])
    assert await thread.stop(10.0)
    assert opened(tmp_path).applied == 149
    with pytest.raises(RuntimeError, match=r"^the store is closed$"):
        await thread.call(lambda store: store.sync())


async def test_stop_gives_up_at_its_deadline_on_a_disk_that_refuses(
    start: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    Refusing(monkeypatch, "apply", sqlite3.SQLITE_FULL, 10**9)
    thread = start(retry_delay=0.01)
    thread.apply(1, [windows(1)])
    assert not await thread.stop(0.05)


async def test_a_caller_that_goes_away_does_not_stop_the_thread(start: Starts) -> None:
    thread = start()
    taking = asyncio.create_task(thread.take("influx"))
    await thread.sync()
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    thread.apply(1, [windows(1)])
    await thread.applied(1)


async def test_a_thread_that_ends_by_itself_is_told_and_one_that_was_stopped_is_not(
    start: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped, thread = start(), start()
    assert await stopped.stop(60.0)
    await stopped.wait_ended()

    def broken(_: Store) -> None:
        raise LookupError("a defect")

    monkeypatch.setattr(Store, "facts", broken)
    asking = asyncio.ensure_future(thread.call(lambda _: None))
    waiting = asyncio.ensure_future(thread.applied(7))
    with pytest.raises(RuntimeError, match="the store thread failed: LookupError: a defect"):
        async with asyncio.timeout(60):
            await thread.wait_ended()
    for asked in (waiting, asyncio.ensure_future(thread.applied(7))):
        with pytest.raises(RuntimeError, match=r"^the store is closed$"):
            await asked
    asking.cancel()


async def test_a_stall_is_over_when_late_readings_can_be_merged_though_no_record_comes(
    start: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    Refusing(monkeypatch, "run_late", sqlite3.SQLITE_FULL, 2)
    thread = start(on_event=told)
    thread.apply(1, [windows(1), named(late=late([(1, T0 + MINUTE, 1.0)], tiers=1))])
    await told.until("store_resumed")
    assert told.codes == ["store_stalled", "store_resumed"]
    assert thread.refusal is None


async def test_a_store_that_cannot_be_replaced_yet_is_replaced_when_the_disk_allows(
    start: Starts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, failures = Told(), [OSError("no space"), sqlite3.OperationalError("locked")]

    def reopen(_: str) -> Store:
        if failures:
            raise failures.pop(0)
        set_aside(tmp_path / "store.sqlite", 1)
        return opened(tmp_path)

    Refusing(monkeypatch, "apply", sqlite3.SQLITE_CORRUPT, 1)
    thread = StoreThread(opened(tmp_path), reopen, on_event=told, retry_delay=0.001)
    thread.apply(1, [windows(1)])
    await thread.applied(1)
    assert told.codes == ["store_stalled", "store_lost", "store_resumed"]
    assert await thread.stop(60.0)


async def test_a_record_that_cannot_be_applied_waits_for_the_disk_to_be_noted(
    start: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, apply = Told(), Store.apply
    errors: list[Exception] = [OverflowError("too large"), sqlite3.OperationalError("disk full")]

    def failing(store: Store, records: Sequence[Record]) -> None:
        if errors:
            raise errors.pop(0)
        apply(store, records)

    monkeypatch.setattr(Store, "apply", failing)
    thread = start(on_event=told)
    thread.apply(1, [])
    await thread.applied(1)
    assert told.codes == ["store_stalled", "store_resumed"], "the second try did not fail"


async def test_a_damaged_store_is_salvaged_in_spare_time_and_the_summary_is_told(
    start: Starts, tmp_path: Path
) -> None:
    store = opened(tmp_path)
    store.apply([(number, [rich(number)]) for number in range(1, 30)])
    store.sync()
    store.close()
    path = tmp_path / "store.sqlite"
    data = bytearray(path.read_bytes())
    data[8 * 4096 : 9 * 4096] = bytes(4096)
    path.write_bytes(data)
    told = Told()
    thread = start(opened(tmp_path, records=lambda: iter(())), on_event=told)
    await told.until("store_salvaged")
    assert f"rows of {path}.corrupt-" in told.texts[-1]
    assert not thread.facts.salvaging


async def test_events_nobody_listens_to_and_lines_nobody_waits_for_do_no_harm(
    start: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    Refusing(monkeypatch, "apply", sqlite3.SQLITE_FULL, 1)
    thread = start()
    begun = thread.moved
    thread.apply(1, [windows(1)])
    await thread.applied(1)
    assert thread.moved > begun
    waiting = asyncio.create_task(thread.take("influx"))
    assert (await waiting).lines == 1
    await thread.applied(0)
