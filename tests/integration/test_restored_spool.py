"""A spool restored from an older copy writes over nothing that the gateway sent since the copy was made."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import GatewayFactory, forwarding
from tests.integration.stored import points
from tests.integration.stranger import Device, now_ms
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.influx import Influx
from tests.servers.process import wait_until

MINUTE = 60_000
WITHIN = 60.0

pytestmark = [pytest.mark.broker, pytest.mark.influx]


class Site:
    """A gateway, its bucket, and a device whose readings are 10 s apart."""

    def __init__(self, gateway: Gateway, influx: Influx, bucket: str, device: Device) -> None:
        self.gateway, self._influx, self._bucket, self._device = gateway, influx, bucket, device
        self.begun = (now_ms() - 60 * MINUTE) // MINUTE * MINUTE
        self.sent = 0

    def send(self, upto: int) -> None:
        """Send the readings before number `upto`, and wait until the gateway has them."""
        wanted = self.gateway.ask(do="status")["values"].get("accepted", 0) + upto - self.sent
        for number in range(self.sent, upto):
            self._device.measure(at=self.begun + 10_000 * number, temperature=float(number))
        self.sent = upto
        self.gateway.wait_for(lambda report: report["values"].get("accepted") == wanted)

    def let_five_windows_wait(self, reachable: dict[str, str]) -> None:
        """Stop the gateway with five windows in its outbox, since it does not reach the database."""
        self.gateway.stop()
        self.gateway.reconfigure(influx={**reachable, "url": "http://127.0.0.1:1"})
        self.gateway.start()
        self.send(33)
        self.gateway.wait_for(lambda report: report["sinks"]["influx"]["waiting"]["lines"] == 5)
        self.gateway.stop()

    def correct(self, window: int) -> None:
        """Send a late reading into a window that is over."""
        self._device.measure(at=self.begun + MINUTE * window + 1, temperature=1.0)

    def forget_status(self) -> None:
        """Remove what the broker retains of the gateway."""
        self._device.publish(f"edge/v1/gw-{self._bucket}/status", b"", retain=True)

    def counts(self, measurement: str = "sensor") -> dict[int, int]:
        """Readings of each point, by the window's number in minutes."""
        rows = points(self._influx, self._bucket, measurement)
        return {(int(row["at"]) - self.begun) // MINUTE: int(row["count"]) for row in rows if row["count"]}

    def wait_for(self, counts: dict[int, int]) -> None:
        wait_until(lambda: self.counts() == counts, WITHIN, f"{self.counts()} becomes {counts}")

    @property
    def copy(self) -> Path:
        return self.gateway.spool.with_name("copy")

    def back_up(self) -> None:
        """Copy the spool of the stopped gateway."""
        shutil.copytree(self.gateway.spool, self.copy)

    def restore(self) -> None:
        """Put the copy in the place of the stopped gateway's spool."""
        shutil.rmtree(self.gateway.spool)
        shutil.copytree(self.copy, self.gateway.spool)


@pytest.fixture
def site(broker: Broker, gateways: GatewayFactory, influx: Influx, tmp_path: Path) -> Iterator[Site]:
    bucket = influx.fresh_bucket()
    name = f"gw-{bucket}"  # the broker remembers those of the other tests
    gateway = gateways(
        broker, name,
        windows=[{"every": "1m", "bucket": bucket, "keep": "30d"}],
        time={"idle_close": "20s"},
        influx=forwarding(influx, tmp_path),
    )  # fmt: skip
    gateway.start()
    with Device(broker.host, broker.port, f"{name}-site", "frz-copy", boot=7) as device:
        device.be_born()
        yield Site(gateway, influx, bucket, device)


def _has(problem: str, report: dict[str, Any]) -> bool:
    return any(one["code"] == problem for one in report["problems"])


def test_windows_that_went_on_after_the_copy_stay_as_they_were_sent(site: Site) -> None:
    site.send(33)  # windows 0 to 4 are over, and window 5 has three readings
    site.wait_for({0: 6, 1: 6, 2: 6, 3: 6, 4: 6})
    site.gateway.stop()
    site.back_up()
    site.gateway.start()
    site.send(60)
    whole = dict.fromkeys(range(9), 6)
    site.wait_for(whole)
    site.gateway.kill()
    site.restore()
    site.gateway.start()
    site.gateway.wait_for(partial(_has, "spool_copy"))
    site.send(80)
    wait_until(
        lambda: bool(site.counts("sensor_partial")), WITHIN, "the copy's window in progress is kept apart"
    )
    assert site.counts()[5] == 6, "the point with all readings is not replaced by one with three"
    assert whole.items() <= site.counts().items()


def test_what_waited_when_the_copy_was_made_is_not_sent_over_what_was_corrected_since(
    site: Site, influx: Influx, tmp_path: Path
) -> None:
    reachable = forwarding(influx, tmp_path)
    site.let_five_windows_wait(reachable)
    site.back_up()
    site.gateway.reconfigure(influx=reachable)
    site.gateway.start()
    site.correct(0)
    site.wait_for({0: 7, 1: 6, 2: 6, 3: 6, 4: 6})
    site.gateway.kill()
    site.restore()
    site.gateway.start()
    site.gateway.wait_for(partial(_has, "spool_copy"))
    site.gateway.wait_for(lambda report: report["counters"].get("outbox_dropped_old") == 5)
    site.send(60)
    wait_until(lambda: 8 in site.counts("sensor_partial"), WITHIN, "what comes afterwards is sent")
    assert site.counts() == {0: 7, 1: 6, 2: 6, 3: 6, 4: 6}


def test_nothing_is_sent_before_the_broker_was_asked(
    site: Site, broker: Broker, influx: Influx, tmp_path: Path
) -> None:
    reachable = forwarding(influx, tmp_path)
    site.let_five_windows_wait(reachable)
    site.gateway.reconfigure(influx=reachable, mqtt={"url": "mqtt://127.0.0.1:1"})
    site.gateway.start(ready=False)
    site.gateway.wait_for(lambda report: "whether this spool" in report["sinks"]["influx"]["problem"])
    assert site.counts() == {}
    site.gateway.stop()
    site.gateway.reconfigure(mqtt={"url": broker.url})
    site.gateway.start()
    site.wait_for({0: 6, 1: 6, 2: 6, 3: 6, 4: 6})


def test_without_the_brokers_memory_an_operator_says_that_the_spool_is_a_copy(site: Site) -> None:
    site.send(33)
    site.wait_for({0: 6, 1: 6, 2: 6, 3: 6, 4: 6})
    site.gateway.stop()
    site.back_up()
    site.gateway.start()
    site.send(60)
    site.wait_for(dict.fromkeys(range(9), 6))
    site.gateway.stop()
    site.restore()
    site.forget_status()
    assert "counts as an older copy" in site.gateway.run("spool", "mark-restored")
    site.gateway.start()
    site.gateway.wait_for(partial(_has, "spool_copy"))
    site.send(80)
    wait_until(
        lambda: bool(site.counts("sensor_partial")), WITHIN, "the copy's window in progress is kept apart"
    )
    assert site.counts()[5] == 6
    site.gateway.stop()
    site.gateway.start()
    assert not _has("spool_copy", site.gateway.ask(do="status")), "the mark counts once"


def test_a_spool_that_was_only_moved_goes_on(site: Site) -> None:
    site.send(33)
    site.wait_for({0: 6, 1: 6, 2: 6, 3: 6, 4: 6})
    site.gateway.stop()
    site.back_up()
    site.restore()
    site.gateway.start()
    site.send(60)
    site.wait_for(dict.fromkeys(range(9), 6))
    assert not site.gateway.ask(do="status")["problems"]
