"""The settings of the fold, as plain values: a checkpoint holds them, so that a replay folds as the first time did."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from edge_gateway.fleet.admission import Admission, AdmissionPolicy
from edge_gateway.fleet.devices.metric_kinds import KINDS
from edge_gateway.fleet.limits import RegistryLimits
from edge_gateway.fleet.registry import Registry
from edge_gateway.fleet.timestamps import TimeLimits
from edge_gateway.fleet.value_checks import MetricPolicy
from edge_gateway.fold.command_queue import CommandQueue, Mode
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.rules.alerts.evaluator import Evaluator
from edge_gateway.rules.alerts.rule_state import Ages
from edge_gateway.rules.language.ruleset import RuleSet
from edge_gateway.windows.open_windows import Windows
from fleet_config.durations import RateSpec
from fleet_wire.topics import ANY


class MetricLimits(msgspec.Struct, frozen=True):
    """What values of one metric are taken in.

    Attributes:
        range: lowest and highest good value.
        missing: values that stand for "no value".
        rate: how many readings a series may have, as (count, ms); None: any number.
        kind: whether values are numbers or states; None: what the device says first.
        unit: what values are measured in, which a birth should say too; None: anything.
    """

    range: tuple[float, float] | None
    missing: tuple[float, ...]
    rate: tuple[float, int] | None
    kind: Literal["number", "state"] | None = None
    unit: str | None = None


class FoldSettings(msgspec.Struct, frozen=True):
    """Durations and times in ms.

    Attributes:
        every: window lengths, shortest first.
        earliest: device times before it are replaced by the arrival.
        p95: metrics whose windows have a p95.
        max_step_back: a clock that goes back by at most this makes a small step.
        max_reading_age: readings older than this at arrival cause neither command nor notice.
        lookback: how long a metric's last value counts for rules.
        mode, per_device, total: of commands; rates as (count, ms).
        devices, series, strings: caps of all devices together.
        device_series, device_strings: caps of one device.
        retire_after: silence after which a device is forgotten.
        forwarded: tags that are stored with windows.
        late_share: late readings of one device that may wait in the store.
        sites: sites whose devices are this gateway's, sorted; `+` alone is every site.
    """

    every: tuple[int, ...]
    allowed_lateness: int
    idle_close: int
    max_future_skew: int
    earliest: int
    max_step_back: int
    metrics: dict[str, MetricLimits]
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

    def as_plain(self) -> dict[str, Any]:
        """Return a tree for a checkpoint."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_plain(cls, plain: Any) -> FoldSettings:
        """The inverse of `as_plain`. msgspec.ValidationError: it is something else."""
        return msgspec.convert(plain, cls)


def build_pipeline(gateway: str, settings: FoldSettings) -> Pipeline:
    """Return a fold without state and without rules."""
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
            name: MetricPolicy(one.range, one.missing, one.rate, one.unit)
            for name, one in settings.metrics.items()
        },
        time=TimeLimits(settings.earliest, settings.max_future_skew, settings.max_step_back),
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
        rules=Evaluator(RuleSet(), registry, Ages(settings.lookback, settings.max_reading_age)),
        commands=CommandQueue(
            settings.mode,
            RateSpec(*settings.per_device),
            RateSpec(*settings.total),
            settings.max_reading_age,
        ),
        retire_after=settings.retire_after,
    )
