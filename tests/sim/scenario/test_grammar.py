# ruff: noqa: E501 - tables of messages are read line by line
"""Expectations, and the JSON Schema for editors."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fleet_sim.scenario.loading import scenario_schema
from fleet_sim.scenario.profiles import path_of, profile_names
from tests.sim.scenario.small import read, with_line


@pytest.mark.parametrize(("text", "value", "holds"), [
    ("< 250ms", 249.9, True), ("< 250ms", 250.0, False), ("<=1s", 1000.0, True), ("== 0", 0, True), ("== 0", 1, False), ("!= 0", 1, True),
    (">= 99%", 0.995, True), (">= 99%", 0.98, False), ("> 0.5", 0.6, True), ("!= 0", float("nan"), False), ("< 1", float("nan"), False),
])  # fmt: skip
def test_expectations(text: str, value: float, holds: bool) -> None:
    made = read(with_line('"< 250ms"', f"'{text}'"))
    assert made.expect["publish.ack.p99"].holds(value) is holds


class TestSchema:
    """The JSON Schema is for editors: it must know every key and not refuse what is right."""

    def test_it_is_plain_json_with_every_model_and_kind(self) -> None:
        schema: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(scenario_schema()))
        text = str(schema)
        for word in (
            "thermal",
            "dissolved_oxygen",
            "heat_up",
            "clock_skew",
            "late_batch",
            "connect",
            "replay_rate",
            "for",
            "while",
            "share",
        ):
            assert f"'{word}'" in text
        assert "for_" not in text
        assert schema["properties"].keys() == {
            "version",
            "name",
            "description",
            "seed",
            "broker",
            "fleet",
            "phases",
            "faults",
            "expect",
        }
        assert schema["additionalProperties"] is False

    def test_every_key_of_every_profile_is_in_it(self) -> None:
        from fleet_config.yaml_source import load_yaml

        text = str(scenario_schema())
        for name in profile_names():
            document = load_yaml(path_of(name))
            for group in document.data["fleet"].values():
                for metric in group["metrics"].values():
                    for key in metric:
                        assert f"'{key}'" in text
