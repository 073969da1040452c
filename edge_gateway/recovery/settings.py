"""The settings of the fold, from the configuration."""

from __future__ import annotations

from collections.abc import Iterable

from edge_gateway.configuration.model import GatewayConfig, MetricSection
from edge_gateway.fold.settings import FoldSettings, MetricLimits
from edge_gateway.store.budget import late_share
from fleet_config.durations import RateSpec
from fleet_wire.topics import ANY


def fold_settings(config: GatewayConfig) -> FoldSettings:
    """Return the part of the configuration that the fold depends on."""
    commands, limits = config.commands, config.limits
    return FoldSettings(
        every=tuple(window.every for window in config.windows),
        allowed_lateness=config.time.allowed_lateness,
        idle_close=config.time.idle_close,
        max_future_skew=config.time.max_future_skew,
        earliest=config.time.earliest,
        max_step_back=config.time.max_step_back,
        metrics={name: _metric(metric) for name, metric in config.metrics.items()},
        p95=tuple(name for name, metric in config.metrics.items() if metric.p95),
        max_reading_age=commands.max_reading_age,
        lookback=config.rules.lookback,
        mode=commands.mode,
        per_device=_pair(commands.per_device),
        total=_pair(commands.total),
        devices=limits.devices,
        series=limits.series,
        strings=limits.strings,
        device_series=limits.share_of_series,
        device_strings=limits.share_of_strings,
        retire_after=limits.retire_after,
        forwarded=config.gateway.tags,
        late_share=late_share(config.spool.max_bytes),
        sites=_sites(config.gateway.sites),
    )


def _metric(metric: MetricSection) -> MetricLimits:
    rate = None if metric.rate is None else _pair(metric.rate)
    return MetricLimits(metric.range, metric.missing, rate, metric.kind, metric.unit)


def _sites(named: Iterable[str]) -> tuple[str, ...]:
    return (ANY,) if ANY in named else tuple(sorted(set(named)))


def _pair(rate: RateSpec) -> tuple[float, int]:
    return rate.count, rate.per_ms
