"""Where a path leads: one in a file from the file, one of a variable or a command line from the working directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_gateway.cli.options import load as load_cli
from edge_gateway.configuration import loading as config_source
from edge_gateway.configuration.loading import effective, load_config
from edge_gateway.configuration.shipped import shipped
from edge_gateway.errors import BadInput
from fleet_config.problems import ProblemsFound
from tests.other_users import NOBODY, open_to_all

TEXT = """
mqtt: {url: mqtts://localhost, ca: ca.crt, cert: keys/a.crt, key: /etc/a.key, password: file:secret}
influx: {url: "http://localhost", org: o, token: "file:../token"}
rules: {path: my-rules}
spool: {path: spool}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a gateway.yaml in `etc`, seen from `home`."""
    for name in ("etc", "home"):
        (tmp_path / name).mkdir()
    (tmp_path / "etc" / "gateway.yaml").write_text(TEXT)
    monkeypatch.chdir(tmp_path / "home")
    monkeypatch.setattr(
        config_source, "DEFAULT_FILES", (Path("gateway.yaml"), tmp_path / "nowhere" / "gateway.yaml")
    )
    return tmp_path


@pytest.mark.parametrize("given", ["absolute", "relative"])
def test_paths_of_a_file_are_relative_to_the_file(place: Path, given: str) -> None:
    file = place / "etc/gateway.yaml" if given == "absolute" else Path("../etc/gateway.yaml")
    config = load_config(file, environment={}).config
    paths = [config.mqtt.ca, config.mqtt.cert, config.mqtt.key, config.rules.path, config.spool.path]
    wanted = ["etc/ca.crt", "etc/keys/a.crt", "/etc/a.key", "etc/my-rules", "etc/spool"]
    assert [path and path.resolve() for path in paths] == [place / each for each in wanted]
    (place / "etc" / "secret").write_text("s3cret\n")
    (place / "token").write_text("t0ken")
    assert config.mqtt.password is not None
    assert config.influx is not None
    assert (config.mqtt.password.read(), config.influx.token.read()) == ("s3cret", "t0ken")


def test_what_a_file_leaves_to_its_default_is_beside_the_file_too(place: Path) -> None:
    (place / "etc" / "gateway.yaml").write_text("mqtt: {url: mqtt://localhost}\n")
    config = load_config(place / "etc" / "gateway.yaml", environment={}).config
    assert config.rules.path == place / "etc" / "rules"
    assert config.spool.path == Path("/var/lib/edge-gateway")


def test_paths_of_variables_are_relative_to_the_working_directory(place: Path) -> None:
    variables = {
        "EDGE_GATEWAY_SPOOL_PATH": "spool",
        "EDGE_GATEWAY_RULES_PATH": "rules",
        "EDGE_GATEWAY_MQTT_PASSWORD": "file:secret",
    }
    loaded = load_config(place / "etc" / "gateway.yaml", environment=variables)
    (place / "home" / "secret").write_text("mine")
    config = loaded.config
    assert config.rules.path is not None
    assert (config.spool.path.resolve(), config.rules.path.resolve()) == (
        place / "home/spool",
        place / "home/rules",
    )
    assert config.mqtt.ca == place / "etc" / "ca.crt"
    assert config.mqtt.password is not None
    assert config.mqtt.password.read() == "mine"


def test_without_a_file_all_is_relative_to_the_working_directory(place: Path) -> None:
    config = load_config(None, environment={"EDGE_GATEWAY_MQTT_URL": "mqtt://localhost"}).config
    assert config.rules.path is not None
    assert config.rules.path.resolve() == place / "home" / "rules"
    embedded = load_cli(None, embedded=True).config
    assert embedded.spool.path.resolve() == place / "home" / ".edge-gateway"


def test_embedded_keeps_its_spool_in_the_working_directory_whose_ever_file_it_reads(place: Path) -> None:
    file = place / "etc" / "gateway.yaml"
    file.write_text("rules: {path: my-rules}\n")
    config = load_cli(file, embedded=True).config
    assert config.spool.path.resolve() == place / "home" / ".edge-gateway"
    assert config.rules.path == place / "etc" / "my-rules"
    file.write_text("spool: {path: of-the-file}\n")
    assert load_cli(file, embedded=True).config.spool.path == place / "etc" / "of-the-file"


def test_config_show_has_whole_paths(place: Path) -> None:
    loaded = load_config(Path("../etc/gateway.yaml"), environment={"EDGE_GATEWAY_SPOOL_PATH": "spool"})
    shown = {key: Path(value) for key, value, _ in effective(loaded)}
    assert shown["spool.path"] == place / "home" / "spool"
    assert shown["rules.path"].is_absolute()
    assert shown["rules.path"].resolve() == place / "etc" / "my-rules"
    origins = {key: origin for key, _, origin in effective(loaded)}
    assert origins["rules.path"] == "../etc/gateway.yaml:4"


def test_no_file_is_told_with_where_it_was_looked_for(place: Path) -> None:
    with pytest.raises(BadInput) as told:
        load_config(None, environment={})
    text = str(told.value)
    assert text.startswith("no gateway.yaml found at ")
    for named in (place / "home/gateway.yaml", place / "nowhere/gateway.yaml", "--config", "--embedded"):
        assert str(named) in text
    with pytest.raises(BadInput, match=r"no gateway\.yaml found at"):
        load_config(None, environment={"EDGE_GATEWAY_SPOOL_PATH": "spool"})


def test_a_file_without_a_broker_is_told_as_that(place: Path) -> None:
    (place / "home" / "gateway.yaml").write_text("version: 1\n")
    with pytest.raises(ProblemsFound, match="'mqtt' is missing"):
        load_config(None, environment={})


@pytest.fixture
def not_root() -> Iterator[None]:
    """For root every file can be read, so that it acts as nobody."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    yield
    os.seteuid(was)


@pytest.mark.parametrize("where", ["file", "directory"])
def test_a_file_that_may_not_be_read_is_told_as_that(
    place: Path, monkeypatch: pytest.MonkeyPatch, where: str, request: pytest.FixtureRequest
) -> None:
    file = place / "etc" / "gateway.yaml"
    monkeypatch.setattr(config_source, "DEFAULT_FILES", (Path("gateway.yaml"), file))
    open_to_all(place / "home")
    (file if where == "file" else file.parent).chmod(0)
    request.getfixturevalue("not_root")
    with pytest.raises(ProblemsFound, match=r"gateway\.yaml: cannot be read: Permission denied"):
        load_config(None, environment={})
    with pytest.raises(ProblemsFound, match=r"gateway\.yaml: cannot be read: Permission denied"):
        load_config(file, environment={})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (b"\x00\x01", "U+0000 is not allowed"),
        (b"\xff\xd8\xff\xe0", "not UTF-8"),
        (b"- a", "must be a mapping"),
        (b"just words", "must be a mapping"),
        (b"mqtt: {url: mqtt://localhost}\nspol: {}", "did you mean 'spool'?"),
        (b"mqtt: {url: 'mqtt://localhost:99999'}", "a port is 1 to 65535"),
        (b"mqtt: {url: 'mqtt://localhost:0'}", "a port is 1 to 65535"),
        (b"mqtt: {url: mqtt://localhost}\nhttp: {listen: 'localhost:0'}", "a port is 1 to 65535"),
        (b"mqtt: {url: mqtt://localhost}\nhttp: {listen: 'localhost:-1'}", "a port is 1 to 65535"),
        (
            b"mqtt: {url: mqtt://localhost}\ninflux: {url: 'http://h:65536', org: o, token: 'env:T'}",
            "a port is 1 to 65535",
        ),
    ],
)
def test_files_that_are_none(place: Path, content: bytes, told: str) -> None:
    (place / "home" / "gateway.yaml").write_bytes(content)
    with pytest.raises(ProblemsFound) as found:
        load_config(None, environment={})
    assert told in str(found.value)


def test_a_directory_in_the_place_of_the_file(place: Path) -> None:
    (place / "home" / "gateway.yaml").mkdir()
    with pytest.raises(ProblemsFound, match="is a directory"):
        load_config(None, environment={})


def test_embedded_without_a_file_or_rules_uses_the_rules_that_ship_with_the_gateway(place: Path) -> None:
    assert load_cli(None, embedded=True).config.rules.path == shipped("rules")
    (place / "home" / "rules").mkdir()
    assert load_cli(None, embedded=True).config.rules.path == Path("rules")


def test_embedded_with_a_file_uses_its_rules(place: Path) -> None:
    (place / "home" / "gateway.yaml").write_text("version: 1\n")
    assert load_cli(None, embedded=True).config.rules.path == Path("rules")
    assert load_cli(place / "etc" / "gateway.yaml", embedded=True).config.rules.path == place / "etc/my-rules"


def test_a_variable_comes_before_the_rules_that_ship_with_the_gateway(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_GATEWAY_RULES_PATH", "mine")
    assert load_cli(None, embedded=True).config.rules.path == Path("mine")
