"""Settings survive a checkpoint, and make a fold that has them."""

from __future__ import annotations

import msgspec
import pytest

from edge_gateway.fleet.admission import AdmissionPolicy
from edge_gateway.fleet.devices.series import KIND_OPEN, KIND_STATE
from edge_gateway.fleet.limits import RegistryLimits
from edge_gateway.fleet.timestamps import TimeLimits
from edge_gateway.fleet.value_checks import MetricPolicy
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import FoldSettings, MetricLimits, build_pipeline
from edge_gateway.records import codec
from edge_gateway.records import store_effects as stored
from edge_gateway.records.inputs import Batch, Moment, Tick
from fleet_config.durations import RateSpec
from fleet_wire.telemetry import encode_telemetry

START = 1_760_000_400_000
"""A multiple of both window lengths."""

SETTINGS = FoldSettings(
    every=(60_000, 900_000),
    allowed_lateness=10_000,
    idle_close=30_000,
    max_future_skew=300_000,
    earliest=1_577_836_800_000,
    max_step_back=7_000,
    metrics={
        "temperature": MetricLimits((-40.0, 85.0), (-127.0,), (10.0, 1_000)),
        "door": MetricLimits(None, (), None, "state"),
    },
    p95=("temperature",),
    max_reading_age=200_000,
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
    assert (pipeline.gateway, pipeline.retire_after) == ("gw", 86_400_000)
    assert pipeline.admission.policy == AdmissionPolicy(
        metrics={
            "temperature": MetricPolicy((-40.0, 85.0), (-127.0,), (10.0, 1_000)),
            "door": MetricPolicy(),
        },
        time=TimeLimits(1_577_836_800_000, 300_000, 7_000),
        max_reading_age=200_000,
    )
    commands = pipeline.commands
    assert (commands.mode, commands.max_reading_age) == ("dry_run", 200_000)
    assert (commands.rates.per_device, commands.rates.total) == (
        RateSpec(6.0, 60_000),
        RateSpec(100.0, 1_000),
    )


def test_its_registry_has_the_caps_the_sites_the_tags_and_the_kinds() -> None:
    registry = build_pipeline("gw", SETTINGS).registry
    assert registry.limits == RegistryLimits(3, 20, 30, 10, 15, unused_for=86_400_000)
    assert [registry.owns(site) for site in ("berlin", "paris", "rome")] == [True, True, False]
    assert registry.forwarded == ("line",)
    registry.device("berlin", "freezer")
    declared = [registry.series(0, registry.metric(name)) for name in ("door", "temperature")]
    assert registry.table.kind[declared].tolist() == [KIND_STATE, KIND_OPEN]


def closed(pipeline: Pipeline, second: int, ms: int) -> list[stored.ClosedWindows]:
    payload = encode_telemetry(1, second, START + ms, {"temperature": 1.0, "humidity": 1.0})
    batch = Batch(Moment(START + ms, ms), ["fleet/v1/berlin/freezer/telemetry"], [payload])
    return pipeline.fold(batch).windows


def test_its_windows_wait_for_late_readings_and_silence_and_know_their_metrics_with_a_p95() -> None:
    pipeline = build_pipeline("gw", SETTINGS)
    assert pipeline.windows.every_ms == (60_000, 900_000)
    assert pipeline.windows.late_share.most == 7
    assert not closed(pipeline, 0, 0)
    assert not closed(pipeline, 1, 60_000 + 9_999), "allowed lateness"
    (base,) = closed(pipeline, 2, 60_000 + 10_000)
    names = pipeline.registry.metric_names
    metrics = [names[pipeline.registry.series_metric[series]] for series in base.rows["series"]]
    assert [metrics[row] for row in base.block.tails] == ["temperature"]
    ticks = [pipeline.fold(Tick(Moment(START, 70_000 + ms))) for ms in (29_999, 30_000)]
    assert [bool(tick.windows) for tick in ticks] == [False, True], "silence"


def test_its_windows_let_no_time_beyond_the_skew_close_them() -> None:
    pipeline = build_pipeline("gw", SETTINGS)
    assert pipeline.windows._skew == SETTINGS.max_future_skew


def test_its_rules_join_values_as_old_as_the_lookback() -> None:
    assert build_pipeline("gw", SETTINGS).rules._ages.lookback == 600_000


def test_its_rules_act_on_readings_as_old_as_the_commands_section_says() -> None:
    assert build_pipeline("gw", SETTINGS).rules._ages.max_reading_age == SETTINGS.max_reading_age


def test_every_site_is_the_gateways_where_none_is_named() -> None:
    pipeline = build_pipeline("gw", msgspec.structs.replace(SETTINGS, sites=("+",)))
    assert pipeline.registry.owns("anywhere")


def test_what_is_no_settings_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        FoldSettings.from_plain({**SETTINGS.as_plain(), "mode": "sometimes"})
