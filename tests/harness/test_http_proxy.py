"""The proxy before InfluxDB gives the answers it is told to give, and its watch sees what must not be."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from edge_gateway.sinks.influx.writer import InfluxWriter
from edge_gateway.sinks.outcomes import Outcome
from fleet_sim.judging.stored import WindowKey
from fleet_sim.ledger.expected import Facts
from tests.fakes import FakeInflux
from tests.proofs.ground.http_proxy import ANSWERS, ChosenAnswer, HttpProxy, Wait, chosen_answer
from tests.proofs.influx import (
    damaged,
    judge_quarantine,
    judge_states,
    judge_waits,
    quarantined_windows,
)
from tests.proofs.proof import Findings

TWO = b"sensor,device=a value=1.0 1000\nsensor,device=a value=2.0 2000\n"
HEAT = (
    b"sensor,device=x-site-0013,metric=heat,site=x-site"
    b" count=2i,first=1.0,last=2.0,max=2.0,mean=1.5,min=1.0,sum=3.0 4000000000"
)
DOOR = 'sensor_state,device=x-site-0001,metric=door,site=x-site last="open",changes=1i 4000000000\n'


@pytest.fixture
async def server() -> AsyncIterator[FakeInflux]:
    async with FakeInflux() as fake:
        yield fake


async def written(proxy: HttpProxy, body: bytes = TWO) -> Outcome:
    async with InfluxWriter(proxy.url, "fleet", lambda: "secret", timeout=0.3) as writer:
        return await writer.write("telemetry", body)


async def test_without_a_chosen_answer_requests_go_to_the_server(server: FakeInflux) -> None:
    server.bad = (b"broken",)
    with HttpProxy(server.url) as proxy:
        assert (await written(proxy)).status == 204
        assert (await written(proxy, b"broken 1\n")).status == 400
    assert server.points("telemetry") == set(TWO.split(b"\n")[:-1])
    assert proxy.server_statuses == {204: 1, 400: 1}


@pytest.mark.parametrize("name", ANSWERS)
async def test_the_gateway_gets_each_chosen_answer(server: FakeInflux, name: str) -> None:
    chosen = chosen_answer(name, random.Random(4))
    with HttpProxy(server.url) as proxy:
        proxy.answer_next(chosen)
        outcome = await written(proxy)
        assert outcome.status == (504 if name == "late" else int(name) if name.isdigit() else None)
        assert (outcome.retry_after is not None) == (name == "429")
        assert bool(server.requests) == chosen.stored
        assert (await written(proxy)).status == 204
    assert proxy.used == {name: 1}
    assert len(proxy.waits) == (name not in {"400", "413", "422"})
    assert proxy.most_open == 1


async def test_a_late_write_reaches_the_server_after_what_followed_its_retry(server: FakeInflux) -> None:
    corrected = b"sensor,device=a value=1.5 1000\n"
    with HttpProxy(server.url) as proxy:
        proxy.answer_next(ChosenAnswer("late", 504, end="late"))
        assert (await written(proxy)).status == 504
        for body in (TWO, corrected):
            assert proxy.late_left == 1
            assert (await written(proxy, body)).status == 204
        await server.requested(3)
        assert [b"".join(one + b"\n" for one in request.lines) for request in server.requests] == [
            TWO,
            corrected,
            TWO,
        ]
        assert not proxy.write_order.undone, "the late write is out of order by intent"
        await written(proxy, TWO)
    assert len(proxy.write_order.undone) == 1, "any other is not"


async def test_a_single_line_is_never_reported_as_bad(server: FakeInflux) -> None:
    with HttpProxy(server.url) as proxy:
        proxy.answer_next(ChosenAnswer("400", 400))
        assert (await written(proxy, b"sensor value=1.0 1\n")).status == 204
        assert proxy.answers_left == 1


async def test_a_damaged_body_arrives_damaged_at_the_server(server: FakeInflux) -> None:
    with HttpProxy(server.url, damage=damaged) as proxy:
        await written(proxy, HEAT + b"\n" + HEAT.replace(b"0013", b"0014") + b"\n")
    first, second = server.requests[0].lines
    assert b" count2i," in first
    assert b" count=2i," in second


def test_waits_that_are_too_short_too_long_or_all_alike_are_noticed() -> None:
    findings = Findings()
    proxy = HttpProxy("http://localhost:1")
    proxy.waits = [Wait("429", 1.0, 2.0), Wait("503", 90.0, 0.0)]
    judge_waits(findings, proxy)
    assert findings.forbidden == {"Retry-After not kept": 1, "waited too long": 1}
    proxy.waits = [Wait("503", 0.5, 0.0)] * 9
    judge_waits(findings, proxy)
    assert findings.forbidden["no jitter"] == 1


def test_good_lines_in_quarantine_and_duplicate_lines_are_noticed() -> None:
    rows = [
        {"topic": "influx/base", "reason": "", "text": text}
        for text in (HEAT.decode(), DOOR, DOOR, HEAT.decode().replace("0013", "0014"))
    ]
    findings = Findings()
    judge_quarantine(findings, rows, ["base", "mid", "top"])
    assert findings.forbidden == {"good line in quarantine": 1, "line twice in quarantine": 1}


def test_states_in_the_history_but_not_in_quarantine_are_noticed() -> None:
    rows = [{"topic": "influx/base", "reason": "", "text": DOOR}]
    every = {"base": 2000, "mid": 4000, "top": 12000}
    states = [
        {"device": "x-site-0001", "every": 2000, "start": 4000},
        {"device": "x-site-0001", "every": 4000, "start": 4000},
        {"device": "x-site-0001", "every": 12000, "start": 0},
    ]
    findings = Findings()
    judge_states(findings, rows, states, list(every), every)
    assert findings.forbidden == {"state not in quarantine": 1}
    assert "mid" in findings.examples[0]


def test_windows_are_read_from_lines_in_quarantine() -> None:
    rows = [{"topic": "influx/mid", "text": HEAT.decode() + "\n"}, {"topic": "influx/mid", "text": DOOR}]
    found = quarantined_windows(rows, {"mid": 4000})
    assert found == {WindowKey("x-site-0013", "heat", 4000, 4000): Facts(2, 3.0, 1.0, 2.0, 1.0, 2.0)}
