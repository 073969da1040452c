"""A gateway that lost its spool overwrites nothing it wrote before: incomplete windows are kept apart."""

from __future__ import annotations

import shutil
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

HOUR = 3_600_000
WITHIN = 60.0

pytestmark = pytest.mark.broker


@pytest.mark.influx
def test_windows_begun_before_the_loss_are_partial_and_readings_from_before_it_are_late(
    broker: Broker, gateways: GatewayFactory, influx: Influx, tmp_path: Path
) -> None:
    bucket = influx.fresh_bucket()
    gateway = gateways(
        broker, "gw-lost",
        windows=[{"every": "1h", "bucket": bucket, "keep": "30d"}],
        time={"idle_close": "1s"},
        influx=forwarding(influx, tmp_path),
    )  # fmt: skip
    gateway.start()
    with Device(broker.host, broker.port, "gw-lost-site", "frz-lost", boot=7) as device:
        device.be_born(line="L1")
        device.measure(temperature=-18.0)
        wait_until(lambda: len(points(influx, bucket, "sensor")) == 1, WITHIN, "the window is stored")
        [whole] = points(influx, bucket, "sensor")
        gateway.kill()
        shutil.rmtree(gateway.spool)
        before = now_ms()
        gateway.start()
        gateway.wait_for(lambda report: any(one["code"] == "spool_lost" for one in report["problems"]))
        device.seq += 1
        device.measure(at=before, temperature=-17.0)
        wait_until(
            lambda: len(points(influx, bucket, "sensor_partial")) == 1, WITHIN, "the partial window is told"
        )
        device.seq -= 2
        device.measure(at=before - 2 * HOUR, temperature=-16.5)
        wait_until(
            lambda: len(points(influx, bucket, "sensor_late")) == 1, WITHIN, "the late reading is told"
        )
        assert points(influx, bucket, "sensor") == [whole], "what was written stays as it was"
        [partial], [late] = points(influx, bucket, "sensor_partial"), points(influx, bucket, "sensor_late")
        assert (partial["count"], partial["mean"], int(partial["at"])) == ("1", "-17", before)
        assert (late["value"], int(late["at"])) == ("-16.5", before - 2 * HOUR)
        for row in (partial, late):
            named = [row[name] for name in ("device", "metric", "site", "type")]
            assert named == ["frz-lost", "temperature", "gw-lost-site", "freezer"]
        report = gateway.ask(do="status")
        assert report["values"]["too_late"] == 1
        assert report["counters"]["partial_windows"] == 1


def _accepted(count: int, report: dict[str, Any]) -> bool:
    return bool(report["values"]["accepted"] == count)


def _newest(gateway: Gateway) -> int:
    return max((row["start"] for row in gateway.query("windows")), default=0)


def test_without_a_sink_what_no_window_takes_after_a_loss_is_shown(
    broker: Broker, gateways: GatewayFactory
) -> None:
    gateway = gateways(
        broker, "gw-bare", windows=[{"every": "1s", "bucket": "b", "keep": "30d"}], time={"idle_close": "1s"}
    )
    gateway.start()
    begun = now_ms()
    with Device(broker.host, broker.port, "gw-bare-site", "frz-bare") as device:
        device.be_born()
        for number in range(40):
            device.measure(at=begun + 100 * number, temperature=1.0)
            if number % 8 == 7:  # so that they are in several records
                gateway.wait_for(partial(_accepted, number + 1))
        gateway.kill()
        newest = max((gateway.spool / "journal").glob("*.journal"))
        data = bytearray(newest.read_bytes())
        written = [place for place, byte in enumerate(data) if byte]  # zeros fill its last page
        data[written[len(written) // 2]] ^= 0x55
        newest.write_bytes(data)
        gateway.start()
        gateway.wait_for(lambda report: any(one["code"] == "state_lost" for one in report["problems"]))
        resumed = now_ms()
        for number in range(40):
            device.measure(at=resumed + 100 * number, temperature=1.0)
        wait_until(lambda: _newest(gateway) >= resumed + 2_000, WITHIN, "what came after the loss is stored")
        counters = gateway.ask(do="status")["counters"]
        assert not counters.get("unnamed_readings"), "the lost record takes no name with it"
        refused = counters.get("partial_windows", 0)
        assert [row["why"] for row in gateway.query("partial")] == ["lost"] * refused
        device.measure(at=begun - HOUR, temperature=2.0)
        wait_until(lambda: len(gateway.query("late")) == 1, WITHIN, "the late reading is shown")
        [late] = gateway.query("late")
        assert (late["at"], late["value"], late["why"]) == (begun - HOUR, 2.0, "late")
