"""Subscriptions follow the configuration though the session outlives it. The broker here is a set of filters."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_gateway.mqtt import subscriptions
from edge_gateway.mqtt.subscriptions import FilterList, Subscriptions, may_match
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.problem import Gravity
from edge_gateway.status.problems import Problems
from fleet_wire.errors import ConnectionLost, ConnectRefused
from fleet_wire.subscriptions import NotGranted
from tests.fakes import FaultyFiles, ManualClock

EVERY = {"fleet/v1/+/+/status", "fleet/v1/+/+/telemetry", "fleet/v1/+/+/ack"}


def of_sites(*sites: str) -> list[str]:
    return [f"fleet/v1/{site}/+/{kind}" for kind in ("status", "telemetry", "ack") for site in sites]


@dataclass
class SessionAtBroker:
    """Filters of one client id, as a broker holds them; `refuses` are those it does not grant."""

    filters: set[str] = field(default_factory=set)
    refuses: dict[str, int] = field(default_factory=dict)
    keeps: bool = False
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def subscribe(self, filters: Sequence[str], *, session_present: bool) -> None:
        self._note("subscribe" if session_present else "subscribe anew", filters)
        refused = {text: code for text, code in self.refuses.items() if text in filters}
        self.filters.update(set(filters) - refused.keys())
        if refused:
            raise NotGranted(refused)

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        self._note("unsubscribe", filters)
        if self.keeps:
            raise ConnectRefused("not authorised", 0x87)
        self.filters.difference_update(filters)

    def _note(self, what: str, filters: Sequence[str]) -> None:
        self.asked.append((what, tuple(filters)))
        self.news.set()


@pytest.fixture
def problems() -> Problems:
    return Problems(lambda: 0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "subscriptions.json"


def wanting(sites: list[str], file: Path, problems: Problems, client_id: str = "edge-a") -> Subscriptions:
    return Subscriptions(of_sites(*sites), FilterList(file, client_id), problems)


async def connect(subscriptions_: Subscriptions, session: SessionAtBroker) -> None:
    present = bool(session.filters)
    await subscriptions_.reconcile(session, session_present=present, knows_births=True)


@pytest.mark.parametrize(
    ("before", "then"), [(["a", "b"], ["a"]), (["a"], ["b"]), (["+"], ["a"]), (["a"], ["+"])]
)
async def test_a_session_has_the_filters_of_the_newest_configuration(
    file: Path, problems: Problems, before: list[str], then: list[str]
) -> None:
    session = SessionAtBroker()
    await connect(wanting(before, file, problems), session)
    await connect(wanting(then, file, problems), session)
    assert session.filters == set(of_sites(*then))
    assert [what for what, _ in session.asked] == ["subscribe anew", "subscribe", "unsubscribe"]
    await connect(wanting(then, file, problems), session)
    assert session.asked[-1][0] == "subscribe", "nothing is left to be removed"


def damaged(file: Path, damage: bytes | None) -> None:
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage)


OF_ANOTHER_KIND = b'{"filters": 3, "client_id": "edge-a"}'


NO_FILTER = b'{"filters": ["fleet/v1/#/b"], "client_id": "edge-a"}'


@pytest.mark.parametrize(
    "damage", [None, b"", b"{", b"[]", OF_ANOTHER_KIND, NO_FILTER, b"\xff", b"[" * 9_999]
)
async def test_without_its_list_a_gateway_removes_what_one_of_every_site_has(
    file: Path, problems: Problems, damage: bytes | None
) -> None:
    session = SessionAtBroker()
    await connect(wanting(["+"], file, problems), session)
    damaged(file, damage)
    await connect(wanting(["a"], file, problems), session)
    assert session.filters == set(of_sites("a"))


async def test_a_delivery_reveals_a_forgotten_filter(file: Path, problems: Problems) -> None:
    session = SessionAtBroker({*of_sites("old"), *of_sites("a")})
    mine = wanting(["a"], file, problems)
    await connect(mine, session)
    looking_after = asyncio.create_task(mine.maintain(session))
    mine.foreign_deliveries(["fleet/v1/old/d/telemetry", "fleet/v1/old/d/status", "fleet/v1/old/d/ack"])
    await _until(session, lambda: session.filters == set(of_sites("a")))
    count = len(session.asked)
    mine.foreign_deliveries(["fleet/v1/old/d/telemetry"])  # it was on its way
    await _turns()
    assert len(session.asked) == count
    (problem,) = problems
    assert (problem.code, problem.gravity) == ("foreign_site", Gravity.WARNING)
    assert "old" in problem.text
    looking_after.cancel()


@pytest.mark.parametrize(
    ("topic", "filters"),
    [
        ("fleet/v1/b/d/ack", ["fleet/v1/b/+/ack", "fleet/v1/+/+/ack"]),
        ("fleet/v1/b/no level/status", ["fleet/v1/b/+/status", "fleet/v1/+/+/status"]),
        ("fleet/v1/no level/d/status", ["fleet/v1/+/+/status"]),
        ("fleet/v1//d/telemetry", ["fleet/v1/+/+/telemetry"]),
        ("fleet/v1/b/d/command", []),
        ("fleet/v1/b", []),
    ],
)
def test_only_filters_that_a_gateway_makes_are_removed(topic: str, filters: list[str]) -> None:
    assert may_match(topic) == filters


async def test_a_failed_unsubscribe_is_retried_on_the_next_connection(file: Path, problems: Problems) -> None:
    session = SessionAtBroker()
    await connect(wanting(["a", "b"], file, problems), session)
    session.keeps = True
    await connect(wanting(["a"], file, problems), session)
    session.keeps = False
    await connect(wanting(["a"], file, problems), session)
    assert session.filters == set(of_sites("a"))


async def test_the_list_is_written_before_the_broker_is_asked(file: Path, problems: Problems) -> None:
    """Else a crash between the two would leave filters that nobody knows."""

    class Dies(SessionAtBroker):
        async def subscribe(self, filters: Sequence[str], *, session_present: bool) -> None:
            await super().subscribe(filters, session_present=session_present)
            raise ConnectionLost("the power went")

    session = Dies()
    with pytest.raises(ConnectionLost):
        await connect(wanting(["b"], file, problems), session)
    found = SessionAtBroker(session.filters)
    await connect(wanting(["a"], file, problems), found)
    assert found.filters == set(of_sites("a"))


async def test_an_unwritable_list_does_not_prevent_subscribing(file: Path, problems: Problems) -> None:
    files = FaultyFiles()
    files.fail["create"] = [errno.ENOSPC]
    session = SessionAtBroker()
    mine = Subscriptions(of_sites("a"), FilterList(file, "edge-a", files), problems)
    await connect(mine, session)
    assert session.filters == set(of_sites("a"))


async def test_a_list_of_another_client_id_is_ignored(
    file: Path, problems: Problems, caplog: pytest.LogCaptureFixture
) -> None:
    await connect(wanting(["a"], file, problems, "edge-old"), SessionAtBroker())
    session = SessionAtBroker()
    await connect(wanting(["a"], file, problems, "edge-new"), session)
    assert "edge-old" in caplog.text
    assert FilterList(file, "edge-new").read() == frozenset(of_sites("a"))
    assert FilterList(file, "edge-old").read() is None


@pytest.mark.problem("raises", "subscription")
@pytest.mark.problem("clears", "subscription")
async def test_a_filter_that_is_refused_is_a_failure_by_name_and_harms_no_other(
    file: Path, problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "ASK_AGAIN", 0.01)
    refused = "fleet/v1/b/+/telemetry"
    session = SessionAtBroker(refuses={refused: 0x87})
    mine = wanting(["a", "b"], file, problems)
    await connect(mine, session)
    assert session.filters == set(of_sites("a", "b")) - {refused}
    assert mine.receives_telemetry
    (problem,) = problems
    assert (problem.code, problem.gravity) == ("subscription", Gravity.FAILURE)
    assert refused in problem.text
    assert "check the ACL" in problem.text
    session.refuses.clear()
    looking_after = asyncio.create_task(mine.maintain(session))
    await _until(session, lambda: refused in session.filters)
    await _turns()
    assert not list(problems)
    assert session.asked[-1] == ("subscribe", (refused,)), "its births are new to the broker"
    looking_after.cancel()


async def test_without_a_granted_telemetry_filter_there_is_no_silence(file: Path, problems: Problems) -> None:
    mine = wanting(["a"], file, problems)
    await connect(mine, SessionAtBroker(refuses={"fleet/v1/a/+/telemetry": 0x87}))
    assert not mine.receives_telemetry


@pytest.mark.problem("raises", "foreign_site")
@pytest.mark.problem("clears", "foreign_site")
async def test_the_problem_clears_an_hour_after_the_last_delivery_and_forgets_its_sites(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "ASK_AGAIN", 0.01)
    clock = ManualClock(0)
    problems = Problems(clock, timer=clock)
    session = SessionAtBroker()
    mine = wanting(["a"], file, problems)
    await connect(mine, session)
    looking_after = asyncio.create_task(mine.maintain(session))
    mine.foreign_deliveries(["fleet/v1/b/d/telemetry"])
    clock.now = 3_600_000
    await _until(session, lambda: session.asked[-1][0] == "unsubscribe")
    problems.expire()
    assert Problem.FOREIGN_SITE in problems
    clock.now += 1
    problems.expire()
    assert Problem.FOREIGN_SITE not in problems
    async with asyncio.timeout(60):
        while mine._foreign_sites:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    mine.foreign_deliveries(["fleet/v1/c/d/telemetry"])
    assert "not this gateway's: c;" in problems.text_of(Problem.FOREIGN_SITE)
    looking_after.cancel()


async def test_a_device_cannot_make_the_gateway_remember_ever_more_sites(
    file: Path, problems: Problems
) -> None:
    mine = wanting(["a"], file, problems)
    mine.foreign_deliveries(f"fleet/v1/s{number}\x1b/d/telemetry" for number in range(3_000))
    (problem,) = problems
    assert "and 995 more" in problem.text
    assert "\x1b" not in problem.text


async def _until(session: SessionAtBroker, holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            session.news.clear()
            await session.news.wait()


async def _turns() -> None:
    """Let everything that is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_several_requests_for_births_are_one_subscription(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "ASK_AGAIN", 0.01)
    asked: list[tuple[list[str], bool]] = []

    class Session:
        async def subscribe(self, filters: Sequence[str], *, session_present: bool) -> None:
            asked.append((list(filters), session_present))

        async def unsubscribe(self, filters: Sequence[str]) -> None:
            raise AssertionError(filters)

    wanting_ = wanting(["a"], file, Problems(lambda: 0))
    wanting_.request_births()
    wanting_.request_births()
    keeping = asyncio.create_task(wanting_.maintain(Session()))
    async with asyncio.timeout(60):
        while not asked:  # noqa: ASYNC110 - what is waited for says nothing
            await asyncio.sleep(0.01)
    keeping.cancel()
    assert asked == [(["fleet/v1/a/+/status"], False)]
