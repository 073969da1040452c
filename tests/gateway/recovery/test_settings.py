"""What the fold depends on, from a configuration."""

from __future__ import annotations

from typing import Any

import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fold.settings import MetricLimits
from edge_gateway.recovery.settings import fold_settings


def config(**sections: Any) -> GatewayConfig:
    return GatewayConfig.model_validate({"mqtt": {"url": "mqtt://localhost"}, **sections})


def test_durations_are_milliseconds_and_rates_are_pairs() -> None:
    settings = fold_settings(
        config(
            time={"allowed_lateness": "2s"},
            commands={"per_device": "6/m", "max_reading_age": "5m"},
            limits={"retire_after": "2h"},
        )
    )
    assert settings.allowed_lateness == 2_000
    assert settings.per_device == (6.0, 60_000)
    assert settings.max_reading_age == 300_000
    assert settings.retire_after == 7_200_000


def test_metrics_keep_their_limits() -> None:
    settings = fold_settings(
        config(
            metrics={"t": {"range": [-40, 85], "missing": [-127], "rate": "10/s", "p95": True}, "door": {}}
        )
    )
    assert settings.metrics == {
        "t": MetricLimits((-40.0, 85.0), (-127.0,), (10, 1_000)),
        "door": MetricLimits(None, (), None),
    }
    assert settings.p95 == ("t",)


@pytest.mark.parametrize(
    ("named", "sites"), [(["b", "a", "b"], ("a", "b")), (["+"], ("+",)), (["a", "+"], ("+",))]
)
def test_sites_are_sorted_and_a_plus_is_every_site(named: list[str], sites: tuple[str, ...]) -> None:
    assert fold_settings(config(gateway={"sites": named})).sites == sites
