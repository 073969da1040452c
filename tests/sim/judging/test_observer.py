"""What the gateways tell everybody is written down once, and what is only retained is not taken for news."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import mqtt5
import pytest

from fleet_sim.devices.counters import Counters
from fleet_sim.devices.endpoint import Endpoint
from fleet_sim.judging.observer import RETAINED_WITHIN_US, Observer
from fleet_sim.ledger.reading import read_ledger
from fleet_sim.ledger.writing import LedgerWriter
from fleet_wire.control_messages import Alert, encode_alert, encode_gateway_status
from fleet_wire.errors import ConnectionLost
from fleet_wire.session import Session
from tests.fakes import ManualClock
from tests.servers.broker import Broker


@dataclass
class Post:
    observer: Observer
    clock: ManualClock[int]
    counters: Counters
    ledger: LedgerWriter
    directory: Path

    def alert(self, name: str, state: str = "firing", at: int = 5) -> None:
        alert = Alert(
            id=name, group="g", rule="TooWarm", level="critical", state=state, subject="d", at=at, boot=1, seq=2,  # type: ignore[arg-type]
            event=state, cause="reading", site="berlin", metric="heat",  # type: ignore[arg-type]
        )  # fmt: skip
        self.packet("edge/v1/gw/alerts/berlin/d/TooWarm", encode_alert(alert))

    def packet(self, topic: str, payload: bytes) -> None:
        qos = mqtt5.QoS.AT_MOST_ONCE
        self.observer.received(1, [mqtt5.PublishPacket(topic, payload=payload, qos=qos, retain=True)])

    def alerts(self) -> list[tuple[str, bool]]:
        self.ledger.flush()
        return [(row["id"], row["retained"]) for row in read_ledger(self.directory).of_kind("alert")]


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with LedgerWriter(tmp_path) as ledger:
        ledger.header({})
        clock, counters = ManualClock(10_000_000), Counters()
        observer = Observer(ledger, counters, clock)
        observer._subscribed_us = clock.now
        yield Post(observer, clock, counters, ledger, tmp_path)


def test_what_comes_right_after_subscribing_is_old_and_later_it_is_news(post: Post) -> None:
    post.alert("before")
    post.clock.now += RETAINED_WITHIN_US
    post.alert("news")
    assert post.alerts() == [("before", True), ("news", False)]
    assert post.counters.alerts == 1


def test_after_a_reconnect_only_what_was_heard_before_is_old(post: Post) -> None:
    post.clock.now += RETAINED_WITHIN_US
    post.alert("heard")
    post.observer._first, post.observer._subscribed_us = False, post.clock.now
    post.alert("heard")
    post.alert("missed meanwhile")
    assert post.alerts() == [("heard", False), ("heard", True), ("missed meanwhile", False)]


def test_a_transition_that_is_told_twice_is_written_twice(post: Post) -> None:
    post.clock.now += RETAINED_WITHIN_US
    post.alert("a")
    post.alert("a")
    post.alert("a", "resolved", at=9)
    assert post.alerts() == [("a", False)] * 3
    rows = read_ledger(post.directory).of_kind("alert")
    assert [(row["rule"], row["metric"], row["raised"]) for row in rows[1:]] == [
        ("TooWarm", "heat", 5),
        ("TooWarm", "heat", 9),
    ]


def test_the_newest_status_of_each_gateway_is_kept(post: Post) -> None:
    for at in (1, 2):
        post.packet("edge/v1/gw/status", encode_gateway_status({"gateway": "gw", "at": at}))
    post.packet("edge/v1/other/status", encode_gateway_status({"gateway": "other", "at": 3}))
    post.observer.record_statuses()
    post.ledger.flush()
    rows = read_ledger(post.directory).of_kind("status")
    assert {row["gateway"]: row["status"]["at"] for row in rows} == {"gw": 2, "other": 3}


def test_the_first_status_is_in_the_ledger_before_the_run_ends(post: Post) -> None:
    for state in ("online", "draining"):
        post.packet("edge/v1/gw/status", encode_gateway_status({"v": 1, "gateway": "gw", "state": state}))
    post.ledger.flush()
    (row,) = read_ledger(post.directory).of_kind("status")
    assert (row["gateway"], row["status"]["state"]) == ("gw", "online")


def test_a_status_that_does_not_say_how_windows_are_computed_is_not_kept(post: Post) -> None:
    whole = {"gateway": "gw", "at": 1, "state": "online", "windows": [], "metrics": {"t": {}}}
    post.packet("edge/v1/gw/status", encode_gateway_status(whole))
    post.packet(
        "edge/v1/gw/status", encode_gateway_status({**whole, "at": 2, "metrics": {}, "left_out": ["metrics"]})
    )
    post.packet("edge/v1/other/status", encode_gateway_status({"gateway": "other", "state": "offline"}))
    post.observer.record_statuses()
    post.ledger.flush()
    rows = read_ledger(post.directory).of_kind("status")
    assert {(row["gateway"], row["status"].get("at")) for row in rows} == {("gw", 1)}


def test_a_will_says_since_when_the_gateway_is_offline(post: Post) -> None:
    whole = {"gateway": "gw", "at": 1, "state": "online", "windows": [], "metrics": {"t": {}}}
    post.packet("edge/v1/gw/status", encode_gateway_status(whole))
    heard_ms = post.clock.now // 1000
    for _ in range(2):  # the second time as a retained message, after the observer connected again
        post.packet("edge/v1/gw/status", encode_gateway_status({"gateway": "gw", "state": "offline"}))
        post.clock.now += 5_000_000
    assert post.observer.statuses["gw"] == whole | {"v": 1, "state": "offline", "at": heard_ms}
    post.packet("edge/v1/gw/status", encode_gateway_status(whole | {"at": 3}))
    assert post.observer.statuses["gw"]["state"] == "online"


def test_rubbish_and_the_empty_message_after_a_resolve_are_passed_over(post: Post) -> None:
    post.packet("edge/v1/gw/alerts/berlin/d/TooWarm", b"")
    post.packet("edge/v1/gw/alerts/berlin/d/TooWarm", b"\xc1")
    post.packet("edge/v1/gw/reply", b"x")
    assert post.alerts() == []
    assert post.counters.malformed == 1


@asynccontextmanager
async def publishing(broker: Broker) -> AsyncIterator[Callable[[str, bytes], None]]:
    """Give a function that publishes a retained message."""
    options = Endpoint("127.0.0.1", broker.port).of_client("observed-gateway")
    session = Session(options, on_publish=lambda _epoch, _packets: None)
    await session.connect()
    yield lambda topic, payload: session.publish(topic, payload, retain=True)
    await session.disconnect()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - what the broker delivers is looked at, not told
            await asyncio.sleep(0.01)


async def test_it_hears_gateways_on_a_broker_and_acknowledges_their_alerts(
    post: Post, broker_factory: Callable[..., Broker]
) -> None:
    broker = broker_factory()
    lost: list[ConnectionLost] = []
    post.observer.abandon()
    await post.observer.leave()
    await post.observer.watch(Endpoint("127.0.0.1", broker.port), "watching", lost.append)
    post.clock.now += RETAINED_WITHIN_US

    def alert(at: int) -> bytes:
        return encode_alert(
            Alert(
                id="a",
                group="g",
                rule="R",
                level="info",
                state="firing",
                event="firing",
                cause="reading",
                site="berlin",
                subject="d",
                at=at,
                boot=1,
                seq=2,
            )
        )

    async with publishing(broker) as publish:
        publish("edge/v1/gw/status", encode_gateway_status({"gateway": "gw", "at": 1}))
        for at in range(50):
            publish("edge/v1/gw/alerts/berlin/d/R", alert(at))
        await until(lambda: post.counters.alerts == 50)
        await until(lambda: "gw" in post.observer.statuses)
        heard: list[tuple[str, bytes]] = []
        post.observer.on_device_status = lambda topic, payload: heard.append((topic, payload))
        publish("fleet/v1/s/d/status", b"first")
        await post.observer.follow(["fleet/v1/s/d/status"])
        await until(lambda: heard == [("fleet/v1/s/d/status", b"first")])
        await post.observer.unfollow(["fleet/v1/s/d/status"])
        publish("fleet/v1/s/d/status", b"second")
        publish("edge/v1/gw/alerts/berlin/d/R", alert(50))
        await until(lambda: post.counters.alerts == 51)
        assert len(heard) == 1
    await asyncio.to_thread(broker.restart)
    await until(lambda: len(lost) == 1)
    await post.observer.watch(Endpoint("127.0.0.1", broker.port), "watching", lost.append)
    await post.observer.leave()
    assert len(lost) == 1, "it left by itself"
    post.observer.abandon()
