"""Settings survive a checkpoint, and make a fold that has them."""

from __future__ import annotations

import msgspec
import pytest

from edge_gateway.fold.settings import FoldSettings, MetricLimits, build_pipeline
from edge_gateway.records import codec

SETTINGS = FoldSettings(
    every=(60_000, 900_000),
    allowed_lateness=10_000,
    idle_close=30_000,
    max_future_skew=300_000,
    earliest=1_577_836_800_000,
    metrics={
        "temperature": MetricLimits((-40.0, 85.0), (-127.0,), (10.0, 1_000)),
        "door": MetricLimits(None, (), None, "state"),
    },
    p95=("temperature",),
    max_reading_age=300_000,
    lookback=600_000,
    mode="dry_run",
    per_device=(6.0, 60_000),
    total=(100.0, 1_000),
    devices=3,
    series=20,
    strings=30,
    device_series=10,
    device_strings=15,
    retire_after=86_400_000,
    forwarded=("line",),
    late_share=7,
    sites=("berlin", "paris"),
)


def test_they_survive_a_checkpoint() -> None:
    assert FoldSettings.from_plain(codec.decode(codec.encode(SETTINGS.as_plain()))) == SETTINGS


def test_a_fold_has_them() -> None:
    pipeline = build_pipeline("gw", SETTINGS)
    assert pipeline.gateway == "gw"
    assert pipeline.retire_after == 86_400_000
    assert pipeline.commands.mode == "dry_run"
    assert (pipeline.commands.per_device.count, pipeline.commands.total.per_ms) == (6.0, 1_000)
    assert pipeline.windows.every_ms == (60_000, 900_000)
    assert pipeline.admission.policy.max_reading_age == 300_000
    assert pipeline.admission.policy.metrics["temperature"].range == (-40.0, 85.0)
    assert [pipeline.registry.owns(site) for site in ("berlin", "paris", "rome")] == [True, True, False]
    assert pipeline.registry.forwarded == ("line",)


def test_every_site_is_the_gateways_where_none_is_named() -> None:
    pipeline = build_pipeline("gw", msgspec.structs.replace(SETTINGS, sites=("+",)))
    assert pipeline.registry.owns("anywhere")


def test_what_is_no_settings_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        FoldSettings.from_plain({**SETTINGS.as_plain(), "mode": "sometimes"})
