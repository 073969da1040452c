"""What the store's thread cuts anew, it does when nothing else is due."""

import asyncio
import sqlite3

import pytest

from edge_gateway.store import compaction, store_thread
from edge_gateway.store.database import Store
from edge_gateway.store.store_thread import StoreThread
from tests.gateway.store.fleet import MINUTE, T0, closed, named
from tests.gateway.store.stored import table


async def test_windows_are_cut_anew_in_spare_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_thread, "COMPACTION_LOOK", 0.01)
    monkeypatch.setattr(store_thread, "COMPACTION_PAUSE", 0.01)
    for name, value in {"LEAST": 3, "MOST": 3, "STARTS": 1}.items():
        monkeypatch.setattr(compaction, name, value)
    cut, compact, both = [], store.compact, asyncio.Event()
    loop = asyncio.get_running_loop()

    def noted() -> int:
        cut.append(compact())
        if sum(cut) == 6:
            loop.call_soon_threadsafe(both.set)
        return cut[-1]

    monkeypatch.setattr(store, "compact", noted)
    thread = StoreThread(store, pytest.fail)
    for number in range(1, 8):
        thread.apply(number, [named(windows=(closed(0, [(1, T0 + number * MINUTE, 1.0)]),))])
    await both.wait()
    await thread.applied(7)
    assert len(await thread.call(lambda store: table(store, "window"))) == 7
    await thread.stop(60)


async def test_an_attempt_to_cut_anew_that_the_disk_refuses_waits_like_one_with_nothing_to_do(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def full() -> int:
        tries.append(1)
        raise sqlite3.OperationalError("disk is full")

    monkeypatch.setattr(store, "compact", full)
    codes, news = [], asyncio.Event()

    def told(code: str, _: str) -> None:
        codes.append(code)
        news.set()

    thread = StoreThread(store, pytest.fail, on_event=told, retry_delay=0.01)
    await news.wait()
    news.clear()
    thread.apply(1, [named(windows=(closed(0, [(1, T0, 1.0)]),))])
    await thread.applied(1)
    await news.wait()
    assert codes == ["store_stalled", "store_resumed"]
    assert len(tries) == 1
    await thread.stop(60)
