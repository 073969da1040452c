"""A request that fails for what is in it is searched for the line at fault; a server in trouble loses none."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from edge_gateway.sinks.influx.sink import InfluxSink
from edge_gateway.sinks.influx.writer import InfluxWriter
from edge_gateway.sinks.outcomes import Outcome
from edge_gateway.sinks.poison import (
    MOST_SERIES,
    PROBES,
    TRIES,
    WAITED,
    PoisonedSeries,
    PoisonSearch,
    Verdict,
)
from edge_gateway.store.outbox import Parcel
from tests.fakes import RESET, Answer, FakeInflux
from tests.gateway.sinks.outlet import Outlet, Sleeps, deliver, growing, line, parcel

FIREWALL = Answer(403, "<html>blocked</html>", foreign=True)


@pytest.fixture
async def server() -> AsyncIterator[FakeInflux]:
    async with FakeInflux() as fake:
        yield fake


@pytest.mark.parametrize(
    "answer", [Answer(500, "field type conflict"), Answer(502), Answer(503), RESET, FIREWALL], ids=str
)
@pytest.mark.parametrize("at", [{0}, {63}, {5, 6, 40}])
async def test_only_the_line_a_healthy_server_fails_for_is_put_aside_and_all_stays_in_order(
    server: FakeInflux, answer: Answer, at: set[int]
) -> None:
    server.poison, server.poison_answer = (b"clash",), answer
    lines = [line(n, "clash" if n in at else "sensor") for n in range(64)]
    outlet = Outlet([parcel(1, lines), parcel(2, [line(500)])])
    sink, sleeps = await deliver(server, outlet)
    assert [kept.payload for kept in outlet.refused] == [lines[n] for n in sorted(at)]
    assert all("InfluxDB stores other points" in kept.reason for kept in outlet.refused)
    assert [stored + b"\n" for _, stored in server.order] == [
        *(one for n, one in enumerate(lines) if n not in at),
        line(500),
    ]
    assert (sink.facts.lines, sink.facts.refused_lines, sink.facts.problem) == (65 - len(at), len(at), "")
    assert len(sleeps) >= TRIES
    assert sum(sleeps) < 120, "a bounded time"
    assert server.most_open_requests == 1


async def test_a_request_is_not_suspected_before_it_failed_often_and_for_long(server: FakeInflux) -> None:
    server.poison = (b"clash",)
    _, sleeps = await deliver(server, Outlet([parcel(1, [line(1, "clash")])]))
    assert len(server.requests) == TRIES + PROBES
    assert len(server.probes) == PROBES
    assert sum(sleeps[:TRIES]) >= WAITED


@pytest.mark.parametrize(
    "answer", [Answer(500, "no space left on device"), Answer(503), RESET, FIREWALL], ids=str
)
async def test_a_server_that_fails_for_everything_loses_no_line_however_long_it_lasts(
    server: FakeInflux, answer: Answer
) -> None:
    server.script = [answer] * 40
    lines = [line(n) for n in range(8)]
    outlet = Outlet([parcel(1, lines)])
    await deliver(server, outlet)
    assert outlet.refused == []
    assert [stored + b"\n" for _, stored in server.order] == lines
    assert all(len(written.lines) == 8 for written in server.requests), (
        "what a server fails for is not taken apart"
    )
    assert len(server.probes) > 1


async def test_a_server_that_is_limited_in_its_rate_is_never_doubted(server: FakeInflux) -> None:
    server.poison, server.poison_answer = (b"sensor",), Answer(429)
    outlet = Outlet([parcel(1, [line(1)])])
    task = asyncio.create_task(deliver(server, outlet))
    await server.requested(30)
    server.poison = ()
    await task
    assert outlet.refused == []
    assert server.probes == []


async def test_a_server_that_takes_some_and_fails_for_others_by_chance_loses_no_line() -> None:
    """A line that fails twice beside stored points and is then taken: the points proved nothing yet."""
    outcomes = iter([Outcome(500)] * (TRIES + PROBES - 1))
    probes = 0

    async def write(_: str, body: bytes) -> Outcome:
        nonlocal probes
        if body.startswith(b"sink_probe "):
            probes += 1
            return Outcome(204)
        return next(outcomes, Outcome(204))

    outlet = Outlet([parcel(1, [line(1)])])
    sink = InfluxSink("influx", outlet, write, growing, sleep=Sleeps(), linger=0.0)
    task = asyncio.create_task(sink.run())
    async with asyncio.timeout(60):
        await outlet.empty.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert outlet.refused == []
    assert (probes, sink.facts.lines) == (PROBES - 1, 1)


async def test_many_poisoned_lines_cost_no_more_pauses_than_one(server: FakeInflux) -> None:
    server.poison = (b"clash",)
    lines = [line(n, "clash") for n in range(100)]
    outlet = Outlet([parcel(1, lines)])
    _, sleeps = await deliver(server, outlet)
    assert [kept.payload for kept in outlet.refused] == lines
    assert len(sleeps) < TRIES + PROBES + 2


async def test_a_device_with_a_bad_line_in_each_parcel_delays_the_others_once(server: FakeInflux) -> None:
    server.poison = (b"clash",)
    parcels = [
        parcel(n, [line(100 * n + k, "clash" if k == 7 else "sensor") for k in range(20)]) for n in range(5)
    ]
    outlet = Outlet(list(parcels))
    _, sleeps = await deliver(server, outlet)
    assert len(outlet.refused) == 5
    assert len(server.points("telemetry")) == 95
    assert len(sleeps) < TRIES + 1 + 5 * PROBES
    assert sum(sleeps[TRIES + PROBES :]) < 5 * 2.0, "later parcels wait for their probes alone"


async def test_a_device_that_always_fails_slows_nobody_below_the_live_rate(server: FakeInflux) -> None:
    """Twenty devices, three tiers, a parcel of each every second: what it costs does not grow with the parcels."""
    server.poison = (b"clash",)
    seconds, tiers = 60, 3

    def parcels() -> Iterator[Parcel]:
        for n in range(tiers * seconds):
            at = 1_700_000_000_000 + 1000 * (n // tiers)
            lines = [b"%s,device=d%d value=1 %d\n" % (b"sensor" if d else b"clash", d, at) for d in range(20)]
            yield parcel(n, lines, f"tier{n % tiers}")

    outlet = Outlet(list(parcels()))
    _, sleeps = await deliver(server, outlet)
    assert len(outlet.refused) == tiers * seconds
    assert sum(len(server.points(f"tier{n}")) for n in range(tiers)) == tiers * seconds * 19
    assert len(sleeps) == TRIES + PROBES - 1, "it is waited for the first line alone"
    asked = len(server.requests) + len(server.probes)
    assert asked < 12 * tiers * seconds, "a known series is not searched for again"


async def test_a_series_that_is_well_again_is_taken_in_and_judged_anew(server: FakeInflux) -> None:
    server.poison = (b"clash",)
    bad = b"clash,device=a v=1 %d\n"
    outlet = Outlet([])
    async with InfluxWriter(server.url, "fleet", lambda: "secret") as writer:
        sleeps = Sleeps()
        sink = InfluxSink("influx", outlet, writer.write, growing, sleep=sleeps, linger=0.0)
        for body, poison in ((bad % 2, (b"clash",)), (bad % 3, ()), (bad % 4, (b"clash",))):
            server.poison = poison
            outlet.parcels = [parcel(1, [body])]
            outlet.empty.clear()
            task = asyncio.create_task(sink.run())
            async with asyncio.timeout(60):
                await outlet.empty.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert [one.payload for one in outlet.refused] == [bad % 2, bad % 4]
    assert len(server.points("telemetry")) == 1
    assert len(sleeps.seconds) == TRIES + 2 * (PROBES - 1), "the second search pauses as the first did"


def test_lines_of_poisoned_series_are_separated_until_one_is_stored() -> None:
    poisoned = PoisonedSeries()
    a, b = b"sensor,device=a\\ b v=1 1\n", b"sensor,device=b v=1 1\n"
    assert poisoned.separated([a, b]) == [[a, b]]
    poisoned.add(a)
    again = b"sensor,device=a\\ b v=2 2\n"
    assert poisoned.separated([a, b, again]) == [[b], [a, again]]
    assert (again in poisoned, b in poisoned) == (True, False)
    poisoned.discard(again)
    assert a not in poisoned


def test_poisoned_series_are_bounded() -> None:
    poisoned = PoisonedSeries()
    for number in range(MOST_SERIES + 1):
        poisoned.add(b"s%d v=1 1\n" % number)
    assert b"s0 v=1 2\n" in poisoned
    assert b"s%d v=1 2\n" % MOST_SERIES not in poisoned


def test_after_a_failure_of_the_servers_own_a_request_is_suspected_as_late_as_ever() -> None:
    search = PoisonSearch(searching=True)
    assert search.is_probe_due()
    assert search.judge(1, stores=False) is Verdict.WAIT
    assert not search.is_probe_due()


async def test_a_stranger_that_calls_every_request_bad_puts_nothing_aside(server: FakeInflux) -> None:
    """As a web server answers that wants HTTPS where plain HTTP is spoken."""
    server.poison = (b"",)
    server.poison_answer = Answer(
        400, "<html>The plain HTTP request was sent to HTTPS port</html>", foreign=True
    )
    outlet = Outlet([parcel(1, [line(1), line(2)])])
    problems: set[str] = set()
    async with InfluxWriter(server.url, "fleet", lambda: "secret") as writer:

        async def sleep(_: float) -> None:
            problems.add(sink.facts.problem)
            await asyncio.sleep(0)

        sink = InfluxSink("influx", outlet, writer.write, lambda: iter([0.0] * 1000), sleep=sleep)
        task = asyncio.create_task(sink.run())
        await server.requested(40)
        server.poison = ()
        async with asyncio.timeout(60):
            await outlet.empty.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert outlet.refused == []
    assert len(server.points("telemetry")) == 2
    assert any("HTTPS port" in problem for problem in problems)


@pytest.mark.parametrize(
    "answer",
    [Answer(400, "", foreign=True), Answer(413, "<html>", foreign=True), Answer(422, "?", foreign=True)],
)
async def test_a_line_that_a_stranger_refuses_is_put_aside_once_others_are_seen_to_be_stored(
    server: FakeInflux, answer: Answer
) -> None:
    server.poison, server.poison_answer = (b"clash",), answer
    lines = [line(n, "clash" if n == 5 else "sensor") for n in range(16)]
    outlet = Outlet([parcel(1, lines)])
    await deliver(server, outlet)
    assert [kept.payload for kept in outlet.refused] == [lines[5]]
    assert len(server.points("telemetry")) == 15
    assert len(server.probes) == PROBES


def short() -> Iterator[float]:
    while True:
        yield 0.01


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(403, "insufficient permissions for write"), "write access"),
        (Answer(404, 'bucket "closed" not found'), "influx apply"),
    ],
)
async def test_a_bucket_that_cannot_be_written_to_holds_up_no_other_and_is_named(
    server: FakeInflux, answer: Answer, said: str
) -> None:
    server.closed = {"closed": answer}
    parcels = [parcel(n, [line(n)], "closed" if n % 2 else "open") for n in range(10)]
    outlet = Outlet(list(parcels))
    async with InfluxWriter(server.url, "fleet", lambda: "secret") as writer:
        sink = InfluxSink("influx", outlet, writer.write, short, linger=0.0)
        task = asyncio.create_task(sink.run())
        async with asyncio.timeout(60):
            await server.requested(20)
        assert {one.bucket for one in outlet.parcels} == {"closed"}
        assert len(outlet.parcels) == 5
        assert "bucket 'closed'" in sink.facts.problem
        assert said in sink.facts.problem
        server.closed = {}
        async with asyncio.timeout(60):
            await outlet.empty.wait()
        assert sink.facts.problem == ""
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    for bucket in ("open", "closed"):
        stored = [one + b"\n" for its, one in server.order if its == bucket]
        assert stored == [one.body for one in parcels if one.bucket == bucket]
    assert outlet.refused == []
    assert sink.facts.lines == 10
