"""Where a setting comes from: a variable before the file, the file before a default; and which file is meant."""

from pathlib import Path

import pytest

from edge_gateway.configuration.loading import effective, load_config, read_secrets
from edge_gateway.errors import BadInput
from fleet_config.problems import ProblemsFound

MINIMAL = "mqtt: {url: mqtt://localhost}\nlog: {level: debug}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(MINIMAL)
    return path


def test_a_variable_comes_before_the_file_and_the_file_before_a_default(file: Path) -> None:
    loaded = load_config(
        file,
        environment={"EDGE_GATEWAY_LOG_LEVEL": "error"},
        defaults={("log", "level"): "info", ("log", "format"): "json", ("gateway", "id"): "gw"},
    )
    assert (loaded.config.log.level, loaded.config.log.format, loaded.config.gateway.id) == (
        "error",
        "json",
        "gw",
    )


@pytest.mark.parametrize(
    ("key", "origin"),
    [
        (("log", "level"), "$EDGE_GATEWAY_LOG_LEVEL"),
        (("mqtt", "url"), "{file}:1"),
        (("spool", "path"), "default"),
        (("windows", 0, "every"), "default"),
    ],
)
def test_each_value_has_an_origin(file: Path, key: tuple[str | int, ...], origin: str) -> None:
    loaded = load_config(file, environment={"EDGE_GATEWAY_LOG_LEVEL": "error"})
    assert loaded.origin(key) == origin.format(file=file)


def test_an_unknown_variable_is_refused_with_the_nearest_name(file: Path) -> None:
    with pytest.raises(ProblemsFound, match="EDGE_GATEWAY_LOG_LEVEL"):
        load_config(file, environment={"EDGE_GATEWAY_LOG_LEVL": "error", "HOME": "/"})


def test_a_fault_in_a_variable_names_the_variable(file: Path) -> None:
    with pytest.raises(ProblemsFound, match=r"^\$EDGE_GATEWAY_LOG_LEVEL: "):
        load_config(file, environment={"EDGE_GATEWAY_LOG_LEVEL": "loud"})


def test_without_a_file_a_broker_must_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_gateway.configuration.loading.DEFAULT_FILES", (tmp_path / "gateway.yaml",))
    with pytest.raises(BadInput, match=f"no gateway.yaml found at {tmp_path}"):
        load_config(None, environment={})
    found = load_config(None, environment={"EDGE_GATEWAY_MQTT_URL": "mqtt://localhost"})
    assert (found.file, found.config.mqtt.host) == (None, "localhost")


def test_every_setting_is_listed_with_its_value_as_text(file: Path) -> None:
    rows = {key: value for key, value, _ in effective(load_config(file, environment={}))}
    assert (rows["log.level"], rows["mqtt.allow_plain"], rows["mqtt.user"]) == ("debug", "false", "null")


WRITTEN = """
mqtt: {url: mqtt://localhost}
metrics: {t: {rate: 1234567/90s}}
time: {earliest: 2021-02-03T04:05:06.789Z, idle_close: 1m30s}
spool: {max_bytes: 3000000000B, commit_interval: 50ms}
history: {max_bytes: 2GB}
"""


@pytest.mark.parametrize("text", [MINIMAL, WRITTEN])
def test_every_setting_is_listed_in_the_units_of_the_file(file: Path, text: str) -> None:
    file.write_text(text)
    loaded = load_config(file, environment={})
    rows = {key: value for key, value, _ in effective(loaded)}
    again = "version: 1\n"
    for section in ("mqtt", "time", "spool", "history", "commands", "limits"):
        keys = {key.partition(".")[2]: rows[key] for key in rows if key.startswith(f"{section}.")}
        again += f"{section}:\n" + "".join(f"  {key}: {value}\n" for key, value in keys.items())
    if "metrics.t.rate" in rows:
        again += f"metrics: {{t: {{rate: {rows['metrics.t.rate']}}}}}\n"
    file.write_text(again)
    read = load_config(file, environment={}).config
    for section in ("time", "spool", "history", "commands", "limits", "metrics"):
        assert getattr(read, section) == getattr(loaded.config, section), again


def test_dates_and_sizes_are_listed_as_people_write_them(file: Path) -> None:
    rows = {key: value for key, value, _ in effective(load_config(file, environment={}))}
    assert (rows["time.earliest"], rows["spool.max_bytes"], rows["limits.quarantine"]) == (
        "2020-01-01",
        "2GiB",
        "100MiB",
    )
    assert (rows["spool.commit_interval"], rows["commands.per_device"]) == ("250ms", "6/m")


def test_secrets_are_read_by_their_keys(file: Path) -> None:
    (file.parent / "password").write_text("s3cret\n")
    file.write_text("mqtt: {url: mqtt://localhost, password: 'file:password'}\n")
    assert read_secrets(load_config(file, environment={}).config) == {"mqtt.password": "s3cret"}
    (file.parent / "password").unlink()
    with pytest.raises(BadInput, match="no such file"):
        read_secrets(load_config(file, environment={}).config)
