"""A small scenario, read and complained about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleet_config.problems import ProblemsFound
from fleet_config.yaml_source import parse_yaml
from fleet_sim.scenario.loading import read_scenario

if TYPE_CHECKING:
    from fleet_sim.scenario.loading import Scenario

SMALL = """\
version: 1
name: small
seed: 42
fleet:
  freezer:
    count: 10
    id: "frz-{i:05d}"
    site: [berlin, lyon, porto]
    tags: {line: [L0, L1], zone: A}
    position: {lat: [52.4, 52.6], lon: 13.5}
    interval: 10s
    metrics:
      temperature: {model: thermal, setpoint: -18, lag: 4m, unit: "°C", warning: -14}
      door: {model: states, stay: {closed: 55m, open: 2m}}
    commands:
      compressor: {set: {temperature.setpoint: value}}
phases:
- {name: ramp, for: 60s, connect: 100/s}
- {name: steady, for: 10m}
- {name: storm, for: 2m, do: {disconnect: {match: {site: lyon}, reconnect: {within: 3s}}}}
faults:
- {kind: stuck, metric: temperature, match: {share: 20%}, phase: steady, after: 1m, for: 5m}
- {kind: duplicate, match: {device: "frz-0000[12]"}}
expect:
  publish.ack.p99: "< 250ms"
  delivery.lost: "== 0"
"""


def read(text: str = SMALL, *overrides: str, **env: str) -> Scenario:
    return read_scenario(parse_yaml(text, "s.yaml"), overrides=overrides, env=env)


def complaints(text: str = SMALL, *overrides: str, **env: str) -> list[str]:
    with pytest.raises(ProblemsFound) as found:
        read(text, *overrides, **env)
    return [str(problem).removeprefix("s.yaml:") for problem in found.value.problems]


def with_line(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new)
