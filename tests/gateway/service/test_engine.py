"""When the engine folds, when it ticks, and when it waits for the disk."""

from __future__ import annotations

import asyncio
import time
from typing import cast

import pytest
from mqtt5 import PublishPacket, QoS

from edge_gateway.fleet.watch.clock_vote import Poll
from edge_gateway.fold.effects import Effects
from edge_gateway.mqtt.caught_up_clock import CaughtUpClock
from edge_gateway.mqtt.source import Arrivals
from edge_gateway.records.inputs import Batch, Input, Moment, Tick
from edge_gateway.service.engine import (
    CLOSE_EVERY,
    GATHER_FACTOR,
    GATHER_MAX,
    GATHER_MIN,
    MOST_BYTES_IN_RECORD,
    MOST_UNCOMMITTED,
    MOST_UNSTORED,
    TICK,
    _batch,
    gather_time,
)
from edge_gateway.status.clock import ClockState
from tests.gateway.service.engine_bench import WITHIN, Bench, Deliveries, Fold, Packet, Windows


def test_deliveries_gather_in_proportion_to_what_a_fold_costs() -> None:
    assert gather_time(0.0) == GATHER_MIN
    assert gather_time(0.001) == pytest.approx(GATHER_FACTOR * 0.001)
    assert gather_time(1.0) == GATHER_MAX


async def test_a_record_of_large_messages_is_submitted_by_their_bytes() -> None:
    bench = Bench()
    bench.engine.commit_interval = WITHIN
    bench.source.bring(bytes(MOST_BYTES_IN_RECORD - 1))
    bench.engine.fold_arrivals(bench.source.take())
    assert bench.disk.unfinished == []
    bench.source.bring(b"1")
    bench.engine.fold_arrivals(bench.source.take())
    assert [number for number, _ in bench.disk.unfinished] == [1]


async def test_ticks_are_frequent_while_idle_windows_wait_to_close() -> None:
    bench = Bench()
    assert bench.engine._until_tick() == TICK
    bench.fold.windows.pending = 40
    assert bench.engine._until_tick() == CLOSE_EVERY
    bench.source.bring(b"a delivery closes them on its way")
    assert bench.engine._until_tick() == TICK
    bench.source.take()
    begun = time.monotonic()
    async with bench.running():
        await bench.fold.until(lambda: not bench.fold.windows.pending)
    assert time.monotonic() - begun < 40 * TICK
    assert bench.engine._until_tick() == TICK


async def test_ticks_wait_while_records_pile_up_and_the_listening_clock_goes_on() -> None:
    bench = Bench(fold=Fold(busy=True, windows=Windows(pending=10_000)))
    bench.listening.connected(0)
    bench.listening._echoed = True
    async with bench.running():
        await bench.fold.until(lambda: len(bench.fold.ticks) == MOST_UNCOMMITTED + 1)
        listened = bench.listening.elapsed
        await bench.ticked(3)
        assert len(bench.fold.ticks) == bench.disk.pending == MOST_UNCOMMITTED + 1
        assert bench.listening.elapsed >= listened + 3_000
        assert bench.counters.folding_paused == 1
        bench.disk.catch_up()
        await bench.fold.until(lambda: len(bench.fold.ticks) > MOST_UNCOMMITTED + 3)
    assert bench.fold.ticks[-1].moment.listening > listened
    assert bench.counters.folding_paused == 1


@pytest.mark.parametrize("who", ["commits", "store"])
async def test_deliveries_wait_while_the_disk_is_behind(who: str) -> None:
    bench = Bench()
    if who == "store":
        bench.store.pending = MOST_UNSTORED + 1
    else:
        for number in range(MOST_UNCOMMITTED + 1):
            bench.disk.submit(number, dict)
    async with bench.running():
        bench.source.bring(b"x")
        await bench.ticked(2)
        assert not bench.fold.batches
        assert bench.engine.deliveries_moved_at() >= bench.engine.folded_at, "who has to wait is not stuck"
        bench.store.pending = 0
        bench.disk.catch_up()
        await bench.fold.until(lambda: bool(bench.fold.batches))
    assert bench.counters.folding_paused == 1


async def test_without_room_deliveries_wait_and_rules_go_on() -> None:
    bench = Bench(fold=Fold(busy=True))
    bench.engine.accepting.clear()
    async with bench.running():
        bench.source.bring(b"x")
        await bench.fold.until(lambda: len(bench.fold.ticks) >= 2)
        assert not bench.fold.batches
        assert bench.disk.pending >= 1, "what the rules decide is committed"
        bench.engine.accepting.set()
        await bench.fold.until(lambda: bool(bench.fold.batches))


async def test_a_fold_that_fails_ends_the_engine_whoever_asked_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a reload, whose caller catches the error: the state is half changed, and only a restart repairs it."""
    bench = Bench()
    task = asyncio.create_task(bench.engine.run())
    await bench.ticked(1)

    def broken(given: Input, *, number: int) -> Effects:
        raise LookupError("a defect")

    monkeypatch.setattr(bench.fold, "fold", broken)
    with pytest.raises(LookupError):
        bench.engine.fold(Tick(bench.engine.moment()))
    async with asyncio.timeout(WITHIN):
        with pytest.raises(ExceptionGroup) as ended:
            await task
    assert ended.group_contains(RuntimeError, match="could not be folded: LookupError: a defect")


def test_deliveries_of_qos_0_are_marked_in_the_batch() -> None:
    qualities = (QoS.AT_LEAST_ONCE, QoS.AT_MOST_ONCE, QoS.AT_LEAST_ONCE, QoS.AT_MOST_ONCE)
    packets = [
        PublishPacket(
            topic="t", payload=b"", qos=qos, packet_id=number + 1 if qos is QoS.AT_LEAST_ONCE else None
        )
        for number, qos in enumerate(qualities)
    ]
    assert _batch(Moment(0, 0), packets, 0).qos0 == [1, 3]


async def test_what_waits_for_a_trusted_clock_stays_unacknowledged_and_is_taken_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, returned = Bench(), list[Arrivals]()
    bench.clock.state = ClockState.BEHIND
    monkeypatch.setattr(bench.source, "put_back", returned.extend, raising=False)
    monkeypatch.setattr(
        bench.fold,
        "fold",
        lambda given, **_: Effects(given.moment.wall, held=[1] if len(given.topics) > 1 else []),
    )
    first, second = (cast("PublishPacket", Packet("fleet/v1/s/d/telemetry", body)) for body in (b"1", b"2"))
    bench.engine.fold_arrivals([Arrivals.of(1, [first, second])])
    bench.engine.submit()
    bench.disk.catch_up()
    await asyncio.sleep(0)
    assert [part.packets for part in bench.source.acknowledged] == [[first]]
    bench.engine._release_held(bench.engine.moment())
    assert (returned, bench.engine.held) == ([], 1)
    bench.clock.state = ClockState.AGREED
    bench.engine._release_held(bench.engine.moment())
    assert [part.packets for part in returned] == [[second]]


async def test_what_waited_for_another_reason_is_folded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, returned = Bench(), list[Arrivals]()
    monkeypatch.setattr(bench.source, "put_back", returned.extend, raising=False)
    monkeypatch.setattr(bench.fold, "fold", lambda given, **_: Effects(given.moment.wall, held=[0]))
    asked = True
    monkeypatch.setattr(bench.fold.admission, "votes", lambda _: asked)
    packets = [cast("PublishPacket", Packet("fleet/v1/s/d/telemetry", body)) for body in (b"1", b"2")]
    bench.engine.fold_arrivals([Arrivals.of(1, packets[:1])])
    bench.engine._release_held(bench.engine.moment())
    assert returned == []
    asked, bench.clock.state = False, ClockState.OUTVOTED
    bench.engine.fold_arrivals([Arrivals.of(1, packets[1:])])
    bench.engine._release_held(bench.engine.moment())
    assert [part.packets for part in returned] == [packets[:1], packets[1:]]


async def test_at_most_a_quarter_of_receive_maximum_waits_for_a_trusted_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, allowed = Bench(source=Deliveries(receive_maximum=12)), list[int]()
    bench.clock.state = ClockState.BEHIND

    def fold(given: Batch, *, number: int) -> Effects:
        allowed.append(given.may_hold)
        return Effects(given.moment.wall, held=range(min(len(given.topics), given.may_hold)))

    monkeypatch.setattr(bench.fold, "fold", fold)
    for _ in range(3):
        packets = [cast("PublishPacket", Packet("fleet/v1/s/d/telemetry", b"1")) for _ in range(2)]
        bench.engine.fold_arrivals([Arrivals.of(1, packets)])
    assert (allowed, bench.engine.held) == ([3, 1, 0], 3)


async def test_what_waited_on_an_earlier_connection_is_dropped_since_the_broker_sends_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    bench.clock.state = ClockState.BEHIND
    monkeypatch.setattr(bench.fold, "fold", lambda given, **_: Effects(given.moment.wall, held=[0]))
    for epoch in (1, 2):
        packet = cast("PublishPacket", Packet("fleet/v1/s/d/telemetry", b"1"))
        bench.engine.fold_arrivals([Arrivals.of(epoch, [packet])])
    assert (bench.engine.held, [part.epoch for part in bench.engine._held]) == (1, [2])
    bench.engine.submit()
    bench.disk.catch_up()
    await asyncio.sleep(0)
    assert sum(part.size for part in bench.source.acknowledged) == Arrivals.of(1, [packet]).size


async def test_the_devices_that_agreed_are_shown_after_their_vote(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    polls = [Poll(voters=60, agree=50, live=50, differ=1, off=9, dissent=1), Poll(0, 0, 0, 0, 0, 0)]
    monkeypatch.setattr(bench.fold.admission, "poll_clock", lambda moment: polls[moment.least is None])
    bench.engine._ask_fleet.since = -10_000
    bench.engine.judge_clock()
    shown = bench.engine.clock_status()
    assert (shown.state, shown.agree, shown.differ) == ("agreed", 50, 1)
    bench.engine.confirm_clock()
    shown = bench.engine.clock_status()
    assert (shown.state, shown.agree, shown.differ) == ("confirmed", 0, 0)


async def test_a_confirmation_of_the_clock_is_folded_once_with_what_was_known_before() -> None:
    bench = Bench()
    bench.engine.judge_clock()
    assert bench.fold.confirmed == []
    known = bench.clock.now
    assert bench.engine.confirm_clock().least is None
    bench.engine.judge_clock()
    assert [one.moment.least for one in bench.fold.confirmed] == [known]
    assert bench.engine.clock_status().state == "confirmed"


async def test_echoes_are_no_deliveries_and_are_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, echoes = Bench(), list[bytes]()
    monkeypatch.setattr(CaughtUpClock, "echo_received", lambda _, __, echo: echoes.append(echo))
    packet = cast("PublishPacket", Packet("edge/v1/gw/echo", b"17"))
    bench.engine.fold_arrivals([Arrivals.of(1, [packet])])
    bench.engine.submit()
    assert (echoes, bench.fold.batches) == ([b"17"], [])
    assert [part.packets for part in bench.source.acknowledged] == [[packet]]


async def test_a_record_that_was_not_committed_acknowledges_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(fold=Fold(busy=True))
    bench.engine.fold(Tick(bench.engine.moment()))
    waits = asyncio.create_task(bench.engine.durable(1))
    ((_, future),) = bench.disk.unfinished
    future.cancel()
    await asyncio.sleep(0)
    assert (bench.engine.newest, bench.engine.committed, waits.done()) == (1, 0, False)
    waits.cancel()


async def test_inputs_are_folded_with_the_number_of_the_record_they_go_into() -> None:
    bench = Bench(fold=Fold(busy=True))
    for _ in range(3):
        bench.engine.fold(Tick(bench.engine.moment()))
    bench.fold.busy = False
    for _ in range(2):
        bench.engine.fold(Tick(bench.engine.moment()))
    assert (bench.fold.numbers, bench.engine.number) == ([1, 2, 3, 4, 4], 3)


async def test_a_batch_says_which_statuses_the_broker_kept_or_sends_again() -> None:
    bench = Bench()
    topics = ["fleet/v1/s/d/telemetry", *(f"fleet/v1/s/{device}/status" for device in "xyz")]
    flags: list[dict[str, bool]] = [{"duplicate": True}, {"retain": True}, {}, {"duplicate": True}]
    packets = [
        cast("PublishPacket", Packet(topic, b"1", **flag)) for topic, flag in zip(topics, flags, strict=True)
    ]
    bench.engine.fold_arrivals([Arrivals.of(1, packets)])
    (batch,) = bench.fold.batches
    assert batch.copies == [1, 3]
