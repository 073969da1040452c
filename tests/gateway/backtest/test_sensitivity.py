"""Sensitivity, of rules whose sensitivity is known by hand."""

from pathlib import Path
from typing import Any

import pytest

from edge_gateway.backtest.sensitivity import sensitivities
from edge_gateway.errors import BadInput
from tests.gateway.backtest.weighed import MINUTE, readings, rules_of, series, settings


def of(folder: Path, rule: str, values: list[float], **how: Any) -> dict[str, dict[str, Any]]:
    given = readings(*series(values))
    found = sensitivities(given, rules_of(folder, rule), settings(), onsets=50, **how)
    return {row["kind"]: row for row in found["sensitivity"]}


def test_a_limit_of_10_over_a_constant_9_finds_an_offset_of_1(tmp_path: Path) -> None:
    found = of(tmp_path, "{alert: High, expr: t, above: 10}", [9.0] * 200, lasts=20 * MINUTE)
    assert 1.0 < found["bias up"]["smallest"] < 1.1
    assert (found["bias up"]["found"], found["bias up"]["judged"]) == (50, 50)
    assert (found["bias up"]["delay_median_ms"], found["bias up"]["delay_p90_ms"]) == (0, 0)
    assert found["bias down"]["smallest"] is None
    assert 1.0 < found["spike up"]["smallest"] < 1.1
    assert 3.0 < found["drift up"]["smallest"] < 3.5
    assert found["stuck"]["smallest"] is None


def test_a_wait_of_five_minutes_delays_it_and_misses_a_spike(tmp_path: Path) -> None:
    found = of(
        tmp_path,
        "{alert: Low, expr: t, below: 8, for: 5m}",
        [9.0] * 200,
        lasts=20 * MINUTE,
        kinds=["bias", "spike"],
    )
    assert 1.0 < found["bias down"]["smallest"] < 1.1
    assert found["bias down"]["delay_median_ms"] == 5 * MINUTE
    assert found["spike down"]["smallest"] is None
    assert found["bias up"]["smallest"] is None


def test_silence_is_found_by_its_duration(tmp_path: Path) -> None:
    found = of(
        tmp_path, "{alert: Gone, no_data: {after: 4m, metric: t}}", [9.0] * 200, kinds=["dropout", "bias"]
    )
    assert found["dropout"]["smallest"] == 5 * MINUTE
    assert found["dropout"]["delay_median_ms"] == 3 * MINUTE
    assert found["bias up"]["smallest"] is None


def test_onsets_at_which_it_fires_anyway_are_not_judged(tmp_path: Path) -> None:
    found = of(tmp_path, "{alert: High, expr: t, above: 8}", [9.0] * 200, lasts=20 * MINUTE, kinds=["bias"])
    assert found["bias up"]["judged"] == 0
    assert found["bias up"]["smallest"] is None


def test_a_rule_that_matches_by_name_is_not_tried(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, "{alert: Own, expr: t, above: 10, match: {device: d1}}")
    found = sensitivities(readings(*series([9.0] * 200)), rules, settings(), onsets=50, kinds=["bias"])
    assert (found["not_tried"], found["sensitivity"]) == (["Own"], [])


def test_too_few_readings_or_onsets(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="t: 0 readings have 20m before them"):
        of(tmp_path, "{alert: High, expr: t, above: 8}", [9.0] * 50)
    with pytest.raises(BadInput, match="did you mean 'bias'"):
        of(tmp_path, "{alert: High, expr: t, above: 8}", [9.0], kinds=["biass"])
    with pytest.raises(BadInput, match="at least 50 onsets"):
        sensitivities(
            readings(*series([1.0])),
            rules_of(tmp_path, "{alert: H, expr: t, above: 8}"),
            settings(),
            onsets=9,
        )
