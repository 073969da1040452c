"""Readings, rules and settings for tests of backtests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_gateway.backtest.readings import DeviceFacts, PastReadings, Sample
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fold.settings import FoldSettings
from edge_gateway.recovery.settings import fold_settings
from edge_gateway.rules.files.load import load_rules
from edge_gateway.rules.language.ruleset import RuleSet

START = 1_388_534_400_000
MINUTE = 60_000


def rules_of(folder: Path, *rules: str, match: str = "{}") -> RuleSet:
    lines = [
        "version: 1",
        "groups:",
        "- name: g",
        f"  match: {match}",
        "  rules:",
        *(f"  - {one}" for one in rules),
    ]
    (folder / "rules.yaml").write_text("\n".join(lines) + "\n")
    return load_rules(folder / "rules.yaml")


def settings(**sections: object) -> FoldSettings:
    return fold_settings(GatewayConfig.model_validate({"mqtt": {"url": "mqtt://localhost"}, **sections}))


def series(
    values: Sequence[float | None], every: int = MINUTE, device: str = "d1", metric: str = "t"
) -> list[Sample]:
    """One sample for each value that is not None."""
    return [
        Sample(START + number * every, device, {metric: value})
        for number, value in enumerate(values)
        if value is not None
    ]


def readings(*samples: Sample, units: Mapping[str, str | None] | None = None) -> PastReadings:
    devices: dict[str, DeviceFacts] = {}
    for sample in samples:
        facts = devices.setdefault(sample.device, DeviceFacts("plant", "pump", {"line": "L1"}))
        facts.units.update(dict.fromkeys(sample.m) | dict(units or {}))
    return PastReadings(sorted(samples, key=lambda each: (each.ts, each.device)), devices)
