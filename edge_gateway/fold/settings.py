"""The settings the fold depends on. They are kept with its state: a replay must fold as the first time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fleet.admission import Admission, AdmissionPolicy
from edge_gateway.fleet.devices.metric_kinds import KINDS
from edge_gateway.fleet.limits import RegistryLimits
from edge_gateway.fleet.registry import Registry
from edge_gateway.fleet.timestamps import TimeLimits
from edge_gateway.fleet.value_checks import MetricPolicy
from edge_gateway.fold.commands import CommandQueue, Mode
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.rules.alerts.evaluator import Evaluator
from edge_gateway.rules.language.ruleset import RuleSet
from edge_gateway.store.budget import late_share
from edge_gateway.windows.open_windows import Windows
from fleet_config.durations import RateSpec
from fleet_wire.topics import ANY


class MetricSettings(msgspec.Struct, frozen=True):
    """What a value of one metric must look like; `rate` is (readings, ms)."""

    range: tuple[float, float] | None
    missing: tuple[float, ...]
    rate: tuple[float, int] | None
    kind: Literal["number", "state"] | None = None


class FoldSettings(msgspec.Struct, frozen=True):
    """Plain numbers and names; durations in ms."""

    every: tuple[int, ...]
    allowed_lateness: int
    idle_close: int
    max_future_skew: int
    earliest: int
    metrics: dict[str, MetricSettings]
    p95: tuple[str, ...]
    max_reading_age: int
    lookback: int
    mode: Mode
    per_device: tuple[float, int]
    total: tuple[float, int]
    devices: int
    series: int
    strings: int
    device_series: int
    device_strings: int
    retire_after: int
    forwarded: tuple[str, ...]
    late_share: int
    sites: tuple[str, ...] = (ANY,)
    """Sites whose devices are this gateway's, sorted; `+` alone is every site."""

    @classmethod
    def of(cls, config: GatewayConfig) -> FoldSettings:
        """The part of the configuration that the fold sees."""
        commands, limits = config.commands, config.limits
        return cls(
            every=tuple(window.every for window in config.windows),
            allowed_lateness=config.time.allowed_lateness,
            idle_close=config.time.idle_close,
            max_future_skew=config.time.max_future_skew,
            earliest=config.time.earliest,
            metrics={
                name: MetricSettings(metric.range, metric.missing, _pair(metric.rate), metric.kind)
                for name, metric in config.metrics.items()
            },
            p95=tuple(name for name, metric in config.metrics.items() if metric.p95),
            max_reading_age=commands.max_reading_age,
            lookback=config.rules.lookback,
            mode=commands.mode,
            per_device=(commands.per_device.count, commands.per_device.per_ms),
            total=(commands.total.count, commands.total.per_ms),
            devices=limits.devices,
            series=limits.series,
            strings=limits.strings,
            device_series=limits.share_of_series,
            device_strings=limits.share_of_strings,
            retire_after=limits.retire_after,
            sites=_sites(config.gateway.sites),
            forwarded=config.gateway.tags,
            late_share=late_share(config.spool.max_bytes),
        )

    def as_plain(self) -> dict[str, Any]:
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_plain(cls, plain: Any) -> FoldSettings:
        return msgspec.convert(plain, cls)


def build_pipeline(gateway: str, settings: FoldSettings) -> Pipeline:
    """A fold that has seen nothing yet, without rules."""
    limits = RegistryLimits(
        devices=settings.devices,
        series=settings.series,
        strings=settings.strings,
        device_series=settings.device_series,
        device_strings=settings.device_strings,
        unused_for=settings.retire_after,
    )
    kinds = {name: KINDS[one.kind] for name, one in settings.metrics.items() if one.kind is not None}
    sites = None if ANY in settings.sites else frozenset(settings.sites)
    registry = Registry(limits, settings.forwarded, kinds, sites)
    policy = AdmissionPolicy(
        metrics={
            name: MetricPolicy(one.range, one.missing, one.rate) for name, one in settings.metrics.items()
        },
        time=TimeLimits(settings.earliest, settings.max_future_skew),
        max_reading_age=settings.max_reading_age,
    )
    return Pipeline(
        gateway=gateway,
        registry=registry,
        admission=Admission(registry, policy),
        windows=Windows(
            settings.every,
            allowed_lateness_ms=settings.allowed_lateness,
            idle_close_ms=settings.idle_close,
            max_future_skew_ms=settings.max_future_skew,
            p95_metrics=settings.p95,
            series=registry,
            late_share=settings.late_share,
        ),
        rules=Evaluator(RuleSet(), registry, lookback_ms=settings.lookback),
        commands=CommandQueue(settings.mode, RateSpec(*settings.per_device), RateSpec(*settings.total)),
        retire_after=settings.retire_after,
    )


def _sites(named: Iterable[str]) -> tuple[str, ...]:
    return (ANY,) if ANY in named else tuple(sorted(set(named)))


def _pair(rate: RateSpec | None) -> tuple[float, int] | None:
    return None if rate is None else (rate.count, rate.per_ms)
