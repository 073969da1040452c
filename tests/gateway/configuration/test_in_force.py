"""What a gateway runs with is compared key by key with what its file says now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_gateway.configuration.in_force import changed, in_force
from edge_gateway.configuration.loading import load_config

BASE = "mqtt: {url: mqtt://localhost}\n"
INFLUX = "influx: {url: http://localhost:8086, org: o, token: file:secrets/token}\n"


def answer(path: Path, text: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
    path.write_text(text)
    variables = environment or {}
    return in_force(load_config(path, environment=variables).config, variables)


@pytest.mark.parametrize(
    ("before", "after", "keys"),
    [
        (BASE, BASE + "# a comment\nlog: {level: info}\n", []),
        (BASE, BASE + INFLUX, ["influx"]),
        (BASE + INFLUX, BASE, ["influx"]),
        (BASE + INFLUX, BASE + INFLUX.replace("org: o", "org: p"), ["influx.org"]),
        (BASE, BASE + "metrics: {t: {unit: K}}\n", ["metrics"]),
        (
            BASE,
            BASE + "time: {allowed_lateness: 7s}\nlog: {level: debug}\n",
            ["log.level", "time.allowed_lateness"],
        ),
    ],
)
def test_what_changed_is_named(tmp_path: Path, before: str, after: str, keys: list[str]) -> None:
    file = tmp_path / "gateway.yaml"
    assert changed(answer(file, before), answer(file, after)) == keys


@pytest.mark.parametrize("of_gateway", [True, False])
def test_a_variable_of_one_environment_is_no_change(tmp_path: Path, of_gateway: bool) -> None:
    file = tmp_path / "gateway.yaml"
    with_variable = answer(file, BASE, {"EDGE_GATEWAY_MQTT_URL": "mqtts://other"})
    plain = answer(file, BASE)
    assert changed(*((with_variable, plain) if of_gateway else (plain, with_variable))) == []


def test_a_file_named_from_another_directory_is_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    whole = answer(tmp_path / "gateway.yaml", BASE + INFLUX)
    monkeypatch.chdir(tmp_path / "below")
    assert changed(whole, answer(Path("../gateway.yaml"), BASE + INFLUX)) == []


def test_secrets_stay_references(tmp_path: Path) -> None:
    told = answer(tmp_path / "gateway.yaml", BASE + INFLUX)
    assert told["values"]["influx.token"] == f"file:{tmp_path / 'secrets' / 'token'}"
