"""A device whose clock is old after a reboot overwrites no point whose window the history has given up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import GatewayFactory, forwarding
from tests.integration.stored import points
from tests.integration.stranger import Device, now_ms
from tests.servers.broker import Broker
from tests.servers.influx import Influx
from tests.servers.process import wait_until

MINUTE, HOUR = 60_000, 3_600_000
WITHIN = 60.0
UNTIL_TRIMMED = 150.0
"""The history is trimmed once a minute."""

pytestmark = [pytest.mark.broker, pytest.mark.influx]


def counts(influx: Influx, *buckets: str) -> tuple[int, ...]:
    return tuple(len(points(influx, bucket, "sensor")) for bucket in buckets)


def points_before(influx: Influx, bucket: str, at: int) -> list[dict[str, str]]:
    """Return the windows that start before `at` (ms): the step back may close the newest hour at any time."""
    return [row for row in points(influx, bucket, "sensor") if int(row["at"]) < at]


def test_ten_readings_stay_ten_when_an_old_clock_comes_back(
    broker: Broker, gateways: GatewayFactory, influx: Influx, tmp_path: Path
) -> None:
    base, hourly = influx.fresh_bucket(), influx.fresh_bucket()
    gateway = gateways(
        broker, "gw-trimmed",
        windows=[
            {"every": "1m", "bucket": base, "keep": "30d"},
            {"every": "1h", "bucket": hourly, "keep": "60d"},
        ],
        time={"idle_close": "1s"},
        history={"keep": "1h"},
        influx=forwarding(influx, tmp_path),
    )  # fmt: skip
    gateway.start()
    now = now_ms()
    old = now - now % HOUR - 3 * HOUR
    with Device(broker.host, broker.port, "gw-trimmed-site", "frz-old", boot=1) as device:
        device.be_born(at=old)
        for second in range(10):
            device.measure(at=old + second * 1_000, temperature=float(second))
        device.measure(at=now, temperature=20.0)
        wait_until(lambda: counts(influx, base, hourly) == (2, 1), WITHIN, "the old hour is stored")
        gateway.wait_for(lambda report: report["store"]["floor"] > old + HOUR, UNTIL_TRIMMED)
        before = [points_before(influx, bucket, old + HOUR) for bucket in (base, hourly)]
        assert [[row["count"] for row in rows] for rows in before] == [["10"], ["10"]]
    with Device(broker.host, broker.port, "gw-trimmed-site", "frz-old", boot=2) as device:
        device.be_born(at=old)
        device.measure(at=old + MINUTE // 2, temperature=99.0)
        wait_until(lambda: len(points(influx, base, "sensor_late")) == 1, WITHIN, "the reading is told")
    assert [points_before(influx, bucket, old + HOUR) for bucket in (base, hourly)] == before
    [late] = points(influx, base, "sensor_late")
    assert (late["value"], late["why"], int(late["at"])) == ("99", "late", old + MINUTE // 2)
    report = gateway.wait_for(lambda report: report["values"]["too_late"] == 1)
    assert report["counters"]["history_trimmed"] >= 2
