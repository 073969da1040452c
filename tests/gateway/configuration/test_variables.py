"""Environment variables as settings."""

import pytest

from edge_gateway.configuration.loading import load_config
from fleet_config.problems import ProblemsFound

BROKER = {"EDGE_GATEWAY_MQTT_URL": "mqtt://localhost"}


def test_a_list_is_one_setting() -> None:
    text = "[{every: 1s, bucket: seconds, keep: 1d}, {every: 1m, bucket: minutes, keep: 0s}]"
    config = load_config(None, environment=BROKER | {"EDGE_GATEWAY_WINDOWS": text}).config
    assert [window.bucket for window in config.windows] == ["seconds", "minutes"]


def test_a_mapping_is_one_setting() -> None:
    text = "{temperature: {kind: state}}"
    config = load_config(None, environment=BROKER | {"EDGE_GATEWAY_METRICS": text}).config
    assert config.metrics["temperature"].kind == "state"


@pytest.mark.parametrize("name", ["EDGE_GATEWAY_WINDOWS_KEEP", "EDGE_GATEWAY_METRICS_KIND"])
def test_a_key_of_its_entries_is_none(name: str) -> None:
    with pytest.raises(ProblemsFound, match="no such setting"):
        load_config(None, environment=BROKER | {name: "1d"})


def test_a_key_of_an_optional_section_is_a_setting() -> None:
    variables = {
        "EDGE_GATEWAY_INFLUX_URL": "http://localhost",
        "EDGE_GATEWAY_INFLUX_ORG": "fleet",
        "EDGE_GATEWAY_INFLUX_TOKEN": "env:TOKEN",
    }
    loaded = load_config(None, environment=BROKER | variables)
    assert loaded.config.influx is not None
    assert loaded.config.influx.url == "http://localhost"
    assert loaded.origin(("influx", "url")) == "$EDGE_GATEWAY_INFLUX_URL"


def test_what_is_wrong_in_a_variable_names_the_variable() -> None:
    with pytest.raises(ProblemsFound, match=r"\$EDGE_GATEWAY_SPOOL_COMMIT_INTERVAL"):
        load_config(None, environment=BROKER | {"EDGE_GATEWAY_SPOOL_COMMIT_INTERVAL": "soon"})
