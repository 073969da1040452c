"""gateway.yaml: what is accepted, what is refused, and where it says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.configuration.loading import Loaded, effective, load_config
from edge_gateway.configuration.model import DAY, GIB, MINUTE, GatewayConfig
from edge_gateway.configuration.secrets import Secret, parse_secret
from edge_gateway.errors import BadInput
from edge_gateway.status.collect import settings_of
from fleet_config.problems import ProblemsFound

MINIMAL = "mqtt: {url: mqtt://localhost:1883}\n"


KEYS = (
    "commands, gateway, history, http, influx, inventory, limits, log, metrics, mqtt, rules, sources, spool, "
    "time, version, windows"
)


def load(tmp_path: Path, text: str, **environment: str) -> Loaded:
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    return load_config(file, environment=environment)


def refused(tmp_path: Path, text: str, **environment: str) -> str:
    with pytest.raises(ProblemsFound) as found:
        load(tmp_path, text, **environment)
    return str(found.value).replace(f"{tmp_path}/", "")


def test_the_broker_alone_is_required(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL).config
    assert (config.mqtt.host, config.mqtt.port, config.mqtt.tls) == ("localhost", 1883, False)
    assert config.influx is None
    assert [window.every for window in config.windows] == [MINUTE, 10 * MINUTE, 60 * MINUTE]
    assert config.spool.max_bytes == 2 * GIB
    assert config.mqtt.session_expiry == 7 * DAY
    assert "mqtt" in refused(tmp_path, "version: 1\n")


def test_every_fault_is_told_at_once_at_its_place(tmp_path: Path) -> None:
    text = "mqtt: {url: mqtt://localhost}\nspol: {}\ntime:\n  idle_close: 30\nwindows: []\n"
    assert refused(tmp_path, text).splitlines() == [
        "gateway.yaml:2:1: unknown key 'spol'; did you mean 'spool'? Allowed here: " + KEYS,
        "gateway.yaml:4:15: idle_close: a duration needs a unit; write 30s, 30m or 30ms",
        "gateway.yaml:5:10: windows: must have at least 1 entry, not 0",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mqtt: {url: mqtt://plant-broker}", "would send readings and passwords in the clear"),
        ("mqtt: {url: http://localhost}", "mqtt://host:port or mqtts://host:port"),
        ("mqtt: {url: mqtt://me:pw@localhost}", "write user and password in 'user' and 'password'"),
        ("mqtt: {url: mqtt://localhost, password: hunter2}", "file:/path/to/it or env:NAME_OF_IT"),
        ("mqtt: {url: mqtt://localhost, cert: a.pem}", "'cert' and 'key' need each other"),
        (MINIMAL + "gateway: {id: a/b}", "a gateway id is 1 to 64"),
        (MINIMAL + "gateway: {tags: [site]}", "'site' cannot be a forwarded tag"),
        (MINIMAL + "gateway: {sites: ['a b']}", "a site is 1 to 64"),
        (MINIMAL + "gateway: {zone: Berlin}", "no zone of this name; write one like Europe/Berlin"),
        (MINIMAL + "gateway: {zones: {lyon: Europe/Lyon}}", "no zone of this name"),
        (MINIMAL + "spool: {max_bytes: 0B}", "max_bytes: must be at least 16MiB, not 0B"),
        (MINIMAL + "spool: {max_bytes: 8 MiB}", "max_bytes: must be at least 16MiB, not 8 MiB"),
        (MINIMAL + "spool: {max_bytes: 0}", "max_bytes: '0' is not a size; write one like 512KiB"),
        (MINIMAL + "spool: {max_bytes: -1}", "max_bytes: '-1' is not a size; write one like 512KiB"),
        (MINIMAL + "metrics: {t: {range: [5, 1]}}", "lowest must be less than highest"),
        (
            MINIMAL + "windows: [{every: 1m, bucket: a, keep: 1d}, {every: 90s, bucket: b, keep: 1d}]",
            "whole multiple",
        ),
        (MINIMAL + "windows: [{every: 100ms, bucket: a, keep: 1d}]", "at least 1s"),
        (
            MINIMAL + "windows: [{every: 1m, bucket: a, keep: 1d}, {every: 2m, bucket: a, keep: 1d}]",
            "its own bucket",
        ),
        (
            MINIMAL + "windows: [{every: 1m, bucket: a, keep: 59m59s}]",
            "at least 1h; write a longer time, or 0s",
        ),
        (
            MINIMAL + "windows: [{every: 1m, bucket: a, keep: 500ms}]",
            "at least 1h; write a longer time, or 0s",
        ),
        (
            MINIMAL + "windows: [{every: 1m, bucket: a, keep: 0s}, {every: 1d, bucket: b, keep: 1d}]",
            "the bucket 'b' keeps 1d, but a window of 1d may be 1d32s old when it closes",
        ),
        (
            MINIMAL + "time: {idle_close: 2h}\nwindows: [{every: 1m, bucket: a, keep: 1h}]",
            "may be 2h1m2s old",
        ),
        (MINIMAL + "time: {earliest: soon}", "'soon' is not a date"),
        (MINIMAL + "http: {listen: '0.0.0.0:8080'}", "this machine only"),
        (MINIMAL + "web: {listen: '127.0.0.1:8081'}", "not supported by this version"),
        (MINIMAL + "influx: {url: localhost:8086, org: o, token: 'env:T'}", "http://host:8086"),
    ],
)
def test_what_is_refused_says_why(tmp_path: Path, text: str, told: str) -> None:
    assert told in refused(tmp_path, text)


def test_a_bucket_may_keep_for_ever_or_for_as_short_as_influxdb_can(tmp_path: Path) -> None:
    text = MINIMAL + "windows: [{every: 1m, bucket: a, keep: 0s}, {every: 10m, bucket: b, keep: 1h}]"
    config = load(tmp_path, text).config
    assert [window.keep for window in config.windows] == [0, 60 * MINUTE]
    assert [window.keep for window in settings_of(config)["windows"]] == [None, 60 * MINUTE]


def test_a_literal_secret_is_not_repeated(tmp_path: Path) -> None:
    assert "hunter2" not in refused(tmp_path, "mqtt: {url: mqtt://localhost, password: hunter2}")


def test_variables_override_single_keys_and_are_named(tmp_path: Path) -> None:
    loaded = load(
        tmp_path, MINIMAL, EDGE_GATEWAY_SPOOL_COMMIT_INTERVAL="1s", EDGE_GATEWAY_MQTT_URL="mqtt://127.0.0.1"
    )
    assert loaded.config.spool.commit_interval == 1_000
    origins = {key: origin for key, _, origin in effective(loaded)}
    assert origins["spool.commit_interval"] == "$EDGE_GATEWAY_SPOOL_COMMIT_INTERVAL"
    assert origins["mqtt.url"] == "$EDGE_GATEWAY_MQTT_URL"
    assert origins["time.idle_close"] == "default"


def test_an_origin_names_the_line(tmp_path: Path) -> None:
    origins = {key: origin for key, _, origin in effective(load(tmp_path, "version: 1\n" + MINIMAL))}
    assert origins["mqtt.url"].endswith("gateway.yaml:2")


def test_wrong_variables_are_told_with_a_suggestion(tmp_path: Path) -> None:
    assert "did you mean 'EDGE_GATEWAY_MQTT_USER'" in refused(tmp_path, MINIMAL, EDGE_GATEWAY_MQTT_USR="x")
    told = refused(tmp_path, MINIMAL, EDGE_GATEWAY_TIME_IDLE_CLOSE="30")
    assert told.startswith("$EDGE_GATEWAY_TIME_IDLE_CLOSE: ")


def test_secrets_are_read_where_they_are(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    assert Secret("file", str(file)).read() == "s3cret"
    assert Secret("env", "TOKEN").read({"TOKEN": "t"}) == "t"
    with pytest.raises(BadInput, match="env:TOKEN is not set"):
        Secret("env", "TOKEN").read({})
    with pytest.raises(BadInput, match="no such file"):
        Secret("file", str(tmp_path / "none")).read()
    with pytest.raises(ValueError, match="file:/path"):
        parse_secret("literal")


def test_the_effective_configuration_masks_nothing_it_does_not_hold(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("TOPSECRET")
    text = MINIMAL + f"influx: {{url: 'http://localhost:8086', org: o, token: 'file:{file}'}}\n"
    shown = {key: value for key, value, _ in effective(load(tmp_path, text))}
    assert shown["influx.token"] == f"file:{file}"
    assert "TOPSECRET" not in str(shown)


def test_no_http_at_all_may_be_written_as_null() -> None:
    mqtt = {"url": "mqtt://localhost"}
    assert GatewayConfig.model_validate({"mqtt": mqtt, "http": None}).http.listen is None
