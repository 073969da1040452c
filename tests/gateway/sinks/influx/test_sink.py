import asyncio
import socket
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import pytest

from edge_gateway.sinks.influx.sink import InfluxSink
from edge_gateway.sinks.influx.writer import InfluxWriter
from edge_gateway.sinks.outcomes import Outcome
from edge_gateway.store.outbox import MOST_LINES
from tests.fakes import HANG, RESET, Answer, FakeInflux, ManualClock
from tests.gateway.sinks.outlet import Outlet, Sleeps, deliver, growing, line, parcel


@pytest.fixture
async def server() -> AsyncIterator[FakeInflux]:
    async with FakeInflux() as fake:
        yield fake


async def test_parcels_arrive_whole_gzipped_in_order_one_request_at_a_time(server: FakeInflux) -> None:
    parcels = [parcel(n, [line(10 * n + k) for k in range(5)], f"b{n % 2}") for n in range(6)]
    outlet = Outlet(list(parcels))
    sink, sleeps = await deliver(server, outlet)
    assert [b"".join(one + b"\n" for one in written.lines) for written in server.requests] == [
        p.body for p in parcels
    ]
    assert [written.bucket for written in server.requests] == ["b0", "b1"] * 3
    assert {(w.precision, w.token) for w in server.requests} == {("ns", "Token secret")}
    assert server.most_open_requests == 1
    assert (sink.facts.lines, sink.facts.requests, sink.facts.problem, sleeps) == (30, 6, "", [])


async def test_only_the_bad_lines_of_a_refused_batch_go_to_quarantine(server: FakeInflux) -> None:
    server.bad = (b"broken",)
    lines = [line(n, "broken" if n in {3, 64} else "sensor") for n in range(100)]
    outlet = Outlet([parcel(1, lines), parcel(2, [line(500)])])
    sink, _ = await deliver(server, outlet)
    assert [kept.payload for kept in outlet.refused] == [lines[3], lines[64]]
    assert {kept.topic for kept in outlet.refused} == {"influx/telemetry"}
    assert all("400: " in kept.reason and "unable to parse" in kept.reason for kept in outlet.refused)
    assert [stored + b"\n" for _, stored in server.order] == [
        *(x for x in lines if x[:6] != b"broken"),
        line(500),
    ]
    assert outlet.counters == {"influx_refused_points": 2}
    assert (sink.facts.lines, sink.facts.refused_lines) == (99, 2)
    assert sink.facts.requests < 35


async def test_a_partial_write_keeps_the_good_points_and_names_the_refused_ones(server: FakeInflux) -> None:
    server.conflicting = (b"clash",)
    lines = [line(n, "clash" if n in {7, 8} else "sensor") for n in range(40)]
    outlet = Outlet([parcel(1, lines)])
    sink, _ = await deliver(server, outlet)
    assert {stored + b"\n" for stored in server.points("telemetry")} == {
        x for x in lines if x[:5] != b"clash"
    }
    assert [kept.payload for kept in outlet.refused] == [lines[7], lines[8]]
    assert (sink.facts.lines, sink.facts.refused_lines) == (38, 2)


async def test_each_of_many_lines_that_a_partial_write_refuses_is_put_aside(server: FakeInflux) -> None:
    server.conflicting = (b"clash",)
    lines = [line(n, "clash" if 100 <= n < 400 or n % 50 == 0 else "sensor") for n in range(500)]
    clashing = [one for one in lines if one.startswith(b"clash")]
    outlet = Outlet([parcel(1, lines)])
    sink, _ = await deliver(server, outlet)
    assert [kept.payload for kept in outlet.refused] == clashing
    assert outlet.counters == {"influx_refused_points": len(clashing)}
    assert {stored + b"\n" for stored in server.points("telemetry")} == set(lines) - set(clashing)
    assert (sink.facts.lines, sink.facts.refused_lines) == (500 - len(clashing), len(clashing))
    assert len(server.requests) < 100, "what is refused as a whole is not taken apart"


async def test_a_body_too_large_is_halved_until_it_fits_in_order(server: FakeInflux) -> None:
    server.most_lines = 6
    lines = [line(n) for n in range(40)]
    await deliver(server, Outlet([parcel(1, lines)]))
    assert [stored + b"\n" for _, stored in server.order] == lines


async def test_a_size_that_was_refused_is_not_tried_again_with_each_parcel(server: FakeInflux) -> None:
    server.most_lines = 6
    kind = "sensor" + "x" * 20_000
    parcels = [parcel(n, [line(100 * n + k, kind) for k in range(40)]) for n in range(1, 5)]
    lines = [one + b"\n" for each in parcels for one in each.body.splitlines()]
    sink, sleeps = await deliver(server, Outlet(parcels))
    assert [stored + b"\n" for _, stored in server.order] == lines, "nothing is reordered or written twice"
    refused = [written for written in server.requests if len(written.lines) > 6]
    assert len(refused) < 10, "by the first parcel"
    assert [len(written.lines) for written in server.requests[-8:]] == [5] * 8
    assert (sink.facts.lines, sink.facts.refused_lines, sleeps) == (160, 0, [])


@pytest.mark.parametrize(
    "answer", [Answer(401), Answer(404, "<html>", foreign=True), Answer(200), Answer(302), Answer(405)]
)
async def test_a_configuration_problem_keeps_everything_and_says_so(
    server: FakeInflux, answer: Answer
) -> None:
    server.script = [answer, answer]
    outlet = Outlet([parcel(1, [line(1), line(2)])])
    problems: list[str] = []
    sleeps = Sleeps()
    async with InfluxWriter(server.url, "fleet", lambda: "secret") as writer:

        async def noting(bucket: str, body: bytes) -> Any:
            problems.append(sink.facts.problem)
            return await writer.write(bucket, body)

        sink = InfluxSink("influx", outlet, noting, growing, sleep=sleeps, linger=0.0)
        task = asyncio.create_task(sink.run())
        await outlet.empty.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert sleeps.seconds == [0.5, 1.0]
    assert problems[0] == ""
    assert str(answer.status) in problems[1]
    assert sink.facts.problem == ""
    assert len(server.points("telemetry")) == 2
    assert outlet.refused == []


@pytest.mark.parametrize("answer", [Answer(429), Answer(500), Answer(502), Answer(503), Answer(408), RESET])
async def test_a_temporary_failure_backs_off_ever_longer_and_sends_the_same_again(
    server: FakeInflux, answer: Answer
) -> None:
    server.script = [answer] * 8
    sink, sleeps = await deliver(server, Outlet([parcel(1, [line(1)]), parcel(2, [line(2)])]))
    assert sleeps == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert [written.lines for written in server.requests] == [(line(1)[:-1],)] * 9 + [(line(2)[:-1],)]
    assert sink.facts.failures == 8


async def test_after_a_success_the_back_off_starts_anew(server: FakeInflux) -> None:
    server.script = [Answer(503), Answer(503), Answer(204), Answer(503)]
    _, sleeps = await deliver(server, Outlet([parcel(n, [line(n)]) for n in range(2)]))
    assert sleeps == [0.5, 1.0, 0.5]


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("Tue, 14 Nov 2023 22:14:00 GMT", 30.0), ("0", 0.5)]
)
async def test_retry_after_is_honoured_when_it_is_longer(
    server: FakeInflux, header: str, seconds: float
) -> None:
    """A date is read by the server's clock, and not by the gateway's, which is ten seconds behind."""
    headers = {"Retry-After": header, "Date": "Tue, 14 Nov 2023 22:13:30 GMT"}
    server.script = [Answer(503, headers=headers)]
    _, sleeps = await deliver(server, Outlet([parcel(1, [line(1)])]))
    assert sleeps == [seconds]


@pytest.mark.parametrize(("header", "told"), [("300", "2023-11-14 22:18:20Z"), ("7", "")])
async def test_a_long_wait_is_told_with_its_end(server: FakeInflux, header: str, told: str) -> None:
    server.script = [Answer(503, "busy", headers={"Retry-After": header})]
    seen: list[tuple[int | None, str]] = []
    outlet = Outlet([parcel(1, [line(1)])])
    async with InfluxWriter(server.url, "fleet", lambda: "secret") as writer:

        async def sleep(_: float) -> None:
            seen.append((sink.facts.waiting_until, sink.facts.problem))

        sink = InfluxSink(
            "influx",
            outlet,
            writer.write,
            growing,
            address="http://db:8086",
            sleep=sleep,
            linger=0.0,
            clock=lambda: 1_700_000_000.0,
        )
        task = asyncio.create_task(sink.run())
        await outlet.empty.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    ((until, problem),) = seen
    assert until == 1_700_000_000_000 + int(header) * 1000
    assert problem.startswith("InfluxDB at http://db:8086: 503: busy")
    assert told in problem
    assert ("asked to wait until" in problem) == bool(told)
    assert (sink.facts.waiting_until, sink.facts.problem) == (None, "")


async def test_a_server_that_hangs_is_left_after_the_timeout_and_written_to_again(server: FakeInflux) -> None:
    server.script = [HANG]
    sink, sleeps = await deliver(server, Outlet([parcel(1, [line(1)])]), patience=0.2)
    assert sleeps == [0.5]
    assert len(server.points("telemetry")) == 1
    assert sink.facts.failures == 1


async def test_nobody_listening_is_a_temporary_failure() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with InfluxWriter(
            f"http://127.0.0.1:{unused.getsockname()[1]}", "fleet", lambda: "t"
        ) as writer:
            outcome = await writer.write("telemetry", line(1))
    assert outcome.status is None
    assert "Connect" in outcome.message


@pytest.mark.parametrize("stage", ["take", "write", "sleep"])
async def test_cancelled_anywhere_it_leaves_what_was_not_accepted(server: FakeInflux, stage: str) -> None:
    outlet = Outlet([] if stage == "take" else [parcel(1, [line(1)])])
    server.script = {"take": [], "write": [HANG], "sleep": [Answer(503)]}[stage]
    asleep = asyncio.Event()

    async def sleep(_: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    async with InfluxWriter(server.url, "fleet", lambda: "secret") as writer:
        task = asyncio.create_task(InfluxSink("influx", outlet, writer.write, growing, sleep=sleep).run())
        await {"take": outlet.empty.wait, "write": lambda: server.requested(1), "sleep": asleep.wait}[stage]()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(outlet.parcels) == (stage != "take")


async def test_a_store_that_refuses_is_asked_again_and_nothing_is_sent_twice_meanwhile(
    server: FakeInflux,
) -> None:
    outlet = Outlet([parcel(1, [line(1)])], errors=[sqlite3.OperationalError("disk full")] * 3)
    _, sleeps = await deliver(server, outlet)
    assert len(sleeps) == 3
    assert len(server.requests) == 1


async def test_few_lines_gather_between_requests_and_none_wait_for_others_at_the_end(
    server: FakeInflux,
) -> None:
    outlet = Outlet([parcel(n, [line(n)]) for n in range(3)])
    async with InfluxWriter(server.url, "fleet", lambda: "secret") as writer:
        sink = InfluxSink("influx", outlet, writer.write, growing, linger=3600.0)
        task = asyncio.create_task(sink.run())
        await server.requested(1)
        while len(outlet.parcels) == 3:  # noqa: ASYNC110 - the first is sent at once, and nothing tells that it is done
            await asyncio.sleep(0)
        assert outlet.taken == 1
        assert await sink.drain(60.0)
        assert len(server.requests) == 3
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_backlog_does_not_linger(server: FakeInflux) -> None:
    outlet = Outlet([parcel(n, [line(n)]) for n in range(3)])
    outlet.lines = MOST_LINES
    async with InfluxWriter(server.url, "fleet", lambda: "secret") as writer:
        task = asyncio.create_task(InfluxSink("influx", outlet, writer.write, growing, linger=3600.0).run())
        async with asyncio.timeout(60):
            await outlet.empty.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(server.requests) == 3


async def test_drain_waits_for_an_empty_outbox_or_its_deadline(server: FakeInflux) -> None:
    outlet = Outlet([parcel(n, [line(n)]) for n in range(3)])
    async with InfluxWriter(server.url, "fleet", lambda: "secret") as writer:
        sink = InfluxSink("influx", outlet, writer.write, growing)
        task = asyncio.create_task(sink.run())
        assert await sink.drain(5.0)
        assert outlet.parcels == []
        server.script = [HANG]
        outlet.parcels.append(parcel(9, [line(9)]))
        assert not await sink.drain(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_sink_says_how_long_ago_a_write_may_have_been_left_on_its_way(server: FakeInflux) -> None:
    """Its start counts, because of the run before; then each write without an answer that says what became of it."""
    clock, seen = ManualClock(100.0), list[float]()
    server.script = [Answer(400), Answer(500), Answer(204)]
    outlet = Outlet([parcel(1, [line(1), line(2)])])

    async def sleep(_: float) -> None:
        seen.append(sink.since_unknown())

    async with InfluxWriter(server.url, "fleet", lambda: "secret") as writer:

        async def write(bucket: str, body: bytes) -> Outcome:
            clock.now += 10.0
            return await writer.write(bucket, body)

        sink = InfluxSink("influx", outlet, write, growing, sleep=sleep, linger=0.0, timer=clock)
        assert sink.since_unknown() == 0.0
        task = asyncio.create_task(sink.run())
        await outlet.empty.wait()
        task.cancel()
    assert seen == [0.0], "the second write, a half, had no clear answer"
    assert sink.since_unknown() == 20.0
