"""How options change a scenario, its broker and its times."""

from pathlib import Path

import pytest
import typer

from fleet_sim.cli.options import broker_with, connect_rate, directory_for, span, start_time
from fleet_sim.scenario.broker import endpoint_of
from fleet_sim.scenario.grammar import Broker
from fleet_sim.scenario.loading import load_scenario


def test_broker_options_change_only_what_they_name() -> None:
    broker = Broker(url="mqtt://there:1999", username="u")
    assert broker_with(broker).url == "mqtt://there:1999"
    assert broker_with(broker, host="here").url == "mqtt://here:1883"
    assert broker_with(broker, port=5).url == "mqtt://there:5"
    assert broker_with(broker, host="here", ca=Path("ca.crt")).url == "mqtts://here:8883"
    assert broker_with(broker, user="{id}", keepalive="90s").keepalive == 90_000
    assert broker_with(Broker(url="mqtts://there"), host="here").url == "mqtts://here:8883"
    endpoint = endpoint_of(broker_with(broker, user="{id}"), password="secret")
    assert (endpoint.username, endpoint.password, endpoint.port) == ("{id}", b"secret", 1999)


def test_an_address_of_ipv6_needs_no_brackets() -> None:
    broker = broker_with(Broker(), host="::1", port=1884)
    assert broker.url == "mqtt://[::1]:1884"
    assert endpoint_of(broker).url == broker.url
    assert endpoint_of(broker).host == "::1"


def test_a_time_without_a_zone_is_utc() -> None:
    assert start_time("2026-01-01T00:00Z") == start_time("2026-01-01T00:00") == 1_767_225_600_000
    assert start_time("2026-01-01T01:00+01:00") == 1_767_225_600_000
    assert start_time(None) is None


def test_a_ramp_connects_all_devices_within_it() -> None:
    scenario = load_scenario("cold-chain", overrides=("fleet.freezer.count=500",), env={})
    assert connect_rate("10s", scenario) == 50.0
    assert connect_rate(None, scenario) is None
    assert connect_rate("0s", scenario) is None


def test_a_span_is_within_its_bounds() -> None:
    assert span("1m30s", "--wait") == 90_000
    assert span(None, "--wait") is None
    with pytest.raises(typer.BadParameter, match="--wait: '1s' is too long; at most 500ms"):
        span("1s", "--wait", most=500)


def test_a_directory_that_holds_a_run_is_not_written_into(tmp_path: Path) -> None:
    assert directory_for(tmp_path / "new", "x") == tmp_path / "new"
    (tmp_path / "new" / "ledger.frames").touch()
    with pytest.raises(typer.BadParameter, match="holds a run already"):
        directory_for(tmp_path / "new", "x")
