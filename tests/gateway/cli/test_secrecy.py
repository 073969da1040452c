"""No secret that stands where it should not, or where it should, is repeated by an error, a table or a log."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_gateway.cli import main
from edge_gateway.configuration.secrets import Secret
from edge_gateway.errors import BadInput
from fleet_config.problems import ProblemsFound
from fleet_config.secrecy import redacted
from fleet_sim.scenario.loading import load_scenario
from tests.hostile_files import NO_FILES

SECRET = "hunter2"
GOOD = "mqtt: {url: mqtt://localhost:1883}\n"
INFLUX = "influx: {url: '%s', org: o, token: 'env:T'}\n"
WRITTEN = [
    "mqtt: {url: 'mqtt://me:hunter2@localhost'}",
    "mqtt: {url: 'mqtt://me:hunter2#x@localhost'}",
    "mqtt: {url: 'mqtt://hunter2@localhost'}",
    "mqtt: {url: 'mqtt://localhost?password=hunter2'}",
    "mqtt: {url: 'mqtt://localhost/hunter2'}",
    "mqtt: {url: 'tcp://me:hunter2@localhost'}",
    "mqtt: {url: 'hunter2'}",
    "mqtt: 'mqtt://me:hunter2@localhost'",
    "mqtt: {url: mqtt://localhost, password: hunter2}",
    "mqtt: {url: mqtt://localhost, password: *hunter2}",
    "mqtt: {url: mqtt://localhost, password: &hunter2 x}",
    "mqtt: {url: mqtt://localhost, password: !hunter2 x}",
    "mqtt: {url: mqtt://localhost, password: [hunter2]}",
    "mqtt: {url: mqtt://localhost, user: [hunter2]}",
    GOOD + INFLUX % "http://me:hunter2@localhost:8086",
    GOOD + INFLUX % "http://localhost:8086?token=hunter2",
    GOOD + INFLUX % "http://localhost:8086#hunter2",
    GOOD + INFLUX % "http://localhost:hunter2",
    GOOD + "influx: http://me:hunter2@localhost:8086",
    GOOD + "influx: {url: 'http://localhost', org: o, token: hunter2}",
    GOOD + "http: {listen: 'me:hunter2@localhost:80'}",
]
VARIABLES = [
    {"EDGE_GATEWAY_MQTT_PASSWORD": "hunter2"},
    {"EDGE_GATEWAY_MQTT_PASSWORD": "*hunter2"},
    {"EDGE_GATEWAY_MQTT_PASSWORD": "'hunter2"},
    {"EDGE_GATEWAY_MQTT_URL": "mqtt://me:hunter2@localhost"},
    {"EDGE_GATEWAY_MQTT_URL": "'mqtt://me:hunter2@localhost"},
    {"EDGE_GATEWAY_MQTT_PASSWROD": "hunter2"},
]


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    told = capsys.readouterr()
    assert ended.value.code == 2, told
    assert "Traceback" not in told.err
    return told.out + told.err


@pytest.mark.parametrize("command", [["check"], ["config", "show"], ["doctor"], ["run"]], ids=" ".join)
@pytest.mark.parametrize("text", WRITTEN)
def test_what_is_written_into_the_file(
    tmp_path: Path, text: str, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gateway.yaml").write_text(text)
    before = os.umask(0o022)
    told = said(capsys, *command, "--config", str(tmp_path / "gateway.yaml"))
    os.umask(before)
    assert told.startswith(str(tmp_path))
    assert SECRET not in told


@pytest.mark.parametrize("variables", VARIABLES, ids=str)
def test_what_stands_in_a_variable(
    tmp_path: Path,
    variables: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "gateway.yaml").write_text(GOOD)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    told = said(capsys, "check", "--config", str(tmp_path / "gateway.yaml"))
    assert told.startswith("$EDGE_GATEWAY_MQTT_")
    assert SECRET not in told


@pytest.mark.parametrize("value", ["0123", "1:30", "12345", "1e5", "true"])
def test_a_secret_that_looks_like_something_else(tmp_path: Path, value: str) -> None:
    """It is refused without being repeated, in the file and, as the simulator takes it, from a variable."""
    path = tmp_path / "scenario.yaml"
    path.write_text(f"broker: {{password: {value}}}\n")
    with pytest.raises(ProblemsFound) as found:
        load_scenario(str(path), env={})
    assert value not in str(found.value).replace(str(path), "")
    broker = load_scenario("cold-chain", overrides=["broker.password=${P}"], env={"P": value}).broker
    assert broker.password == value


@pytest.mark.parametrize(
    "override",
    [
        "broker.password=hunter2",
        "broker.password=*hunter2",
        "broker.url=mqtt://me:hunter2@h",
        "broker.url=http://me:hunter2@h",
        "broker.urrl=mqtt://me:hunter2@h",
    ],
)
def test_an_override_of_the_simulator_does_not_repeat_it_either(override: str) -> None:
    with pytest.raises(ProblemsFound) as found:
        load_scenario("cold-chain", overrides=[override], env={})
    assert SECRET not in str(found.value)


PASSWORDS = st.text(st.sampled_from("abcXYZ0189:/?#%&=+-_.~!$'()*,;[]{}|\\^`<>\"é"), min_size=6, max_size=20)


@given(
    password=PASSWORDS,
    scheme=st.sampled_from(["mqtt", "mqtts", "http", "https", "tcp"]),
    of=st.sampled_from(["mqtt", "influx"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_no_password_in_an_address_is_repeated(
    tmp_path: Path, password: str, scheme: str, of: str, capsys: pytest.CaptureFixture[str]
) -> None:
    quoted = f"{scheme}://me:{password}@localhost".replace("'", "''")
    text = f"mqtt: {{url: '{quoted}'}}\n" if of == "mqtt" else GOOD + INFLUX % quoted
    (tmp_path / "gateway.yaml").write_text(text)
    told = said(capsys, "check", "--config", str(tmp_path / "gateway.yaml"))
    assert password not in told.replace(str(tmp_path), "")


def test_what_is_shown_of_an_address() -> None:
    assert redacted("'mqtt://me:p@ss@host:1883' is odd") == "'mqtt://…@host:1883' is odd"
    assert redacted("http://h?org=o&token=abc&x=1") == "http://h?org=o&token=…&x=1"
    assert redacted("mail me@host or http://host/path") == "mail me@host or http://host/path"


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"hunter2\x00", b"hunter2\x1b", b"\xff"])
def test_a_secret_that_could_not_be_sent(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(BadInput) as found:
        Secret("file", str(tmp_path / "token")).read()
    assert str(tmp_path / "token") in str(found.value)
    assert SECRET not in str(found.value)


@pytest.mark.parametrize("kind", ["fifo", "zero", "directory"])
def test_a_secret_is_read_from_a_file_only(tmp_path: Path, kind: str) -> None:
    make, fault = NO_FILES[kind]
    make(tmp_path / "token")
    with pytest.raises(BadInput, match=fault):
        Secret("file", str(tmp_path / "token")).read()
