"""Two gateways with one id: which keeps it, which stands by, and what is no reason to yield."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import mqtt5
import msgpack
import pytest

from edge_gateway.journal import spool
from edge_gateway.mqtt.control_session import STAND_BY_MOST
from edge_gateway.mqtt.ownership import SHOWN_FOR, Ownership, StatusOrigin
from edge_gateway.status.counters import Counters
from edge_gateway.status.problem import Gravity
from edge_gateway.status.problems import Problems
from tests.gateway.mqtt.strict_broker import NONCE, Rig, StrictBroker

STATUS = "edge/v1/gw/status"
OTHER = "00000000000000bb"
OLD = "00000000000000cc"
YEAR_3000 = 32_503_680_000_000


def ownership(published: bool = False) -> Ownership:
    made = Ownership([OLD, NONCE], lambda: 0.0, Counters(), Problems(lambda: 0))
    made.published = published
    return made


def status(nonce: Any = OTHER, state: str = "online") -> bytes:
    said = {"v": 1, "gateway": "gw", "state": state, "started": YEAR_3000, "at": YEAR_3000, "nonce": nonce}
    packed: bytes = msgpack.packb(said)
    return packed


@pytest.mark.parametrize(
    ("nonce", "retained", "published", "whose"),
    [
        (NONCE, True, True, StatusOrigin.OURS),
        (OLD, True, True, StatusOrigin.OURS),
        (OLD, False, True, StatusOrigin.OURS),
        (OTHER, True, False, StatusOrigin.PAST),
        (None, True, False, StatusOrigin.PAST),
        (OTHER, True, True, StatusOrigin.RIVAL),
        (None, True, True, StatusOrigin.RIVAL),
        (OTHER, False, False, StatusOrigin.FOREIGN),
        (OTHER, False, True, StatusOrigin.FOREIGN),
        ([OLD], False, True, StatusOrigin.FOREIGN),
    ],
)
def test_a_status_is_classified_by_its_nonce_and_what_was_published_before(
    nonce: Any, retained: bool, published: bool, whose: StatusOrigin
) -> None:
    assert ownership(published).origin_of({"nonce": nonce, "started": YEAR_3000}, retained=retained) is whose


def test_a_start_knows_earlier_ones_and_a_lost_list_starts_afresh(tmp_path: Path) -> None:
    first = spool.note_start(tmp_path)
    second = spool.note_start(tmp_path)
    assert second[:-1] == first
    assert len(set(second)) == 2
    (tmp_path / spool.STARTS).write_bytes(b"\xff\xfe garbage\n" + second[0].encode() + b"\nzz\n")
    third = spool.note_start(tmp_path)
    assert third[:-1] == first
    for _ in range(2 * spool.MOST_STARTS):
        last = spool.note_start(tmp_path)
    assert len(last) == spool.MOST_STARTS
    (tmp_path / spool.STARTS).unlink()
    assert len(spool.note_start(tmp_path)) == 1


async def test_a_retained_status_from_the_future_is_ignored() -> None:
    async with StrictBroker() as broker:
        broker.retained[STATUS] = status()
        async with Rig(broker.port) as rig:
            await rig.until(lambda: rig.ownership.published)
            assert not list(rig.problems)


@pytest.mark.problem("raises", "taken_over")
@pytest.mark.problem("clears", "taken_over")
async def test_a_live_foreign_status_is_reported_and_clears_after_a_while() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        await rig.until(lambda: rig.ownership.published)
        broker.publish(STATUS, b"\xc1 no status")
        broker.publish(STATUS, status(OLD))
        broker.publish(STATUS, status())
        await rig.until(lambda: rig.problem("taken_over"))
        (problem,) = rig.problems
        assert problem.gravity is Gravity.WARNING
        assert rig.ownership.held

        def gone_after_a_while() -> bool:
            rig.at += SHOWN_FOR + 1  # again and again: any of the three may be the last one heard
            return not rig.problem("taken_over")

        await rig.until(gone_after_a_while)


@pytest.mark.problem("raises", "taken_over")
@pytest.mark.problem("clears", "taken_over")
async def test_a_gateway_taken_over_stands_by_and_returns_once_alone() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        await rig.until(lambda: rig.ownership.published)
        broker.end(mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER)
        await rig.until(lambda: rig.clients.standing)
        assert "another gateway uses this id" in rig.problem("taken_over")
        assert not rig.ownership.held
        (problem,) = rig.problems
        assert problem.gravity is Gravity.FAILURE
        begun = [connect.client_id for connect in broker.connects]
        await rig.until(lambda: len(broker.connects) == 3)
        assert begun.count("edge-gw-control") == 1
        await rig.until(lambda: not rig.problem("taken_over"))


async def test_a_replaced_retained_status_reveals_a_rival_without_a_reason_code() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        await rig.until(lambda: rig.ownership.published)
        broker.retained[STATUS] = status(state="offline")
        broker.end(None)
        await rig.until(lambda: not rig.ownership.held)
        assert rig.counters.taken_over == 1
        assert STAND_BY_MOST > 60


async def test_the_status_of_an_earlier_start_is_no_rival() -> None:
    async with StrictBroker() as broker, Rig(broker.port) as rig:
        rig.ownership.starts = [OLD, NONCE]
        await rig.until(lambda: rig.ownership.published)
        broker.retained[STATUS] = status(OLD)
        broker.end(None)
        await rig.until(lambda: len([one for one in broker.taken if one.topic == STATUS]) >= 2)
        assert rig.ownership.held


class Outdated:
    """Counts what a gateway is told of an older spool, and whether work had begun by then."""

    def __init__(self, of: Ownership) -> None:
        self.told: list[bool] = []
        self.of = of
        of.on_outdated = self.tell

    async def tell(self) -> None:
        self.told.append(self.of._learned.is_set())


@pytest.mark.parametrize(("nonce", "told"), [(OTHER, [False]), (None, [False]), (OLD, []), (NONCE, [])])
async def test_work_begins_after_it_is_told_that_another_start_was_the_last(
    nonce: Any, told: list[bool]
) -> None:
    one = ownership()
    outdated = Outdated(one)
    waiting = asyncio.create_task(one.wait_learned())
    one.judge({"nonce": nonce, "state": "offline"}, retained=True)
    await asyncio.sleep(0)
    assert not waiting.done()
    await one.learned()
    await waiting
    assert outdated.told == told
    one.judge({"nonce": OTHER, "state": "offline"}, retained=True)
    await one.learned()
    assert outdated.told == told, "told once"


async def test_deliveries_do_not_wait_for_good_for_a_control_connection() -> None:
    await ownership().wait_learned(0.01)


async def test_a_live_status_is_no_sign_of_an_older_spool() -> None:
    one = ownership()
    outdated = Outdated(one)
    one.judge({"nonce": OTHER, "state": "online"}, retained=False)
    await one.learned()
    assert not outdated.told


async def test_the_retained_status_is_judged_before_the_own_one_replaces_it() -> None:
    async with StrictBroker() as broker:
        broker.retained[STATUS] = status(OTHER, "offline")
        rig = Rig(broker.port)
        outdated = Outdated(rig.ownership)
        async with rig:
            await rig.until(lambda: rig.ownership.published)
        assert outdated.told == [False]
