"""Lines that InfluxDB refuses are reported as a problem (a warning), and once in the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import GatewayFactory
from tests.integration.field import Fleet, scenario_text
from tests.servers.broker import Broker
from tests.servers.influx import Influx

pytestmark = [pytest.mark.influx, pytest.mark.broker]

NAME = "gw-refused"
SITE = f"{NAME}-site"


def test_a_type_conflict_caused_by_another_program_is_a_warning_that_names_it(
    broker: Broker, gateways: GatewayFactory, influx: Influx, tmp_path: Path
) -> None:
    bucket, token = influx.fresh_bucket(), tmp_path / "token"
    influx.write(bucket, 'sensor,device=theirs mean="a text"')
    token.write_text(influx.token)
    gateway = gateways(
        broker,
        NAME,
        gateway={"id": NAME, "sites": [SITE]},
        windows=[{"every": "2s", "bucket": bucket, "keep": "0s"}],
        influx={"url": influx.url, "org": influx.org, "token": f"file:{token}"},
    )
    gateway.start()
    with Fleet(broker, tmp_path / "run", scenario_text(SITE, devices=5, every="1s", seed=1)):
        report = gateway.wait_for(
            lambda report: any(one["code"] == "influx_refused" for one in report["problems"])
        )
    (told,) = [one for one in report["problems"] if one["code"] == "influx_refused"]
    assert told["gravity"] == "warning"
    assert f"'sensor' for bucket '{bucket}'" in told["text"]
    assert "type conflict" in told["text"]
    assert report["sinks"]["influx"]["problem"] == ""
    assert report["windows"][0]["keep"] is None
    logged = [line for line in gateway.log.read_text().splitlines() if "influx_refused: lines of" in line]
    assert len(logged) == 1
