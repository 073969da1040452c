"""Fills the report from the fold, the store and the running parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_gateway.fleet.arrivals.boot_mark import missing
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import AllCounters, Counters
from edge_gateway.status.log_filters import RATE_LIMIT, REPEATS
from edge_gateway.status.report import (
    AlertStatus,
    Backlog,
    BrokerStatus,
    ClockStatus,
    CommandStatus,
    Definitions,
    Fleet,
    Gap,
    Gaps,
    GatewayStatus,
    MessageCounts,
    MetricSettings,
    OpenProblem,
    RuleStatus,
    SinkStatus,
    SinkWork,
    SpoolStatus,
    State,
    StoreStatus,
    TimeSettings,
    ValueCounts,
    WindowSettings,
)
from fleet_console.version import VERSION

if TYPE_CHECKING:
    from edge_gateway.configuration.model import GatewayConfig
    from edge_gateway.fold.pipeline import Pipeline
    from edge_gateway.store.database import StoreFacts

MOST_GAPS: Final = 20
_BY_STORE_OR_FOLD: Final = frozenset(AllCounters.__struct_fields__) - frozenset(Counters.__struct_fields__)
_NO_WORK: Final = SinkWork()


@dataclass(frozen=True, slots=True)
class Now:
    """What the running parts report of themselves. Times in wall ms.

    Attributes:
        rules_on_disk: the hash of the rule files.
        sinks: by name, those that are configured.
    """

    state: State
    at: int
    started: int
    nonce: str
    rules_on_disk: str
    counters: Counters
    problems: tuple[OpenProblem, ...]
    clock: ClockStatus
    broker: BrokerStatus
    spool: SpoolStatus
    sinks: Mapping[str, SinkWork]


@dataclass(frozen=True, slots=True)
class Reporter:
    """Makes the reports of one gateway; what its configuration says is the same in all of them."""

    gateway: str
    settings: Mapping[str, Any]
    """the fields of GatewayStatus that `settings_of` fills"""

    @classmethod
    def of(cls, gateway: str, config: GatewayConfig) -> Reporter:
        return cls(gateway, settings_of(config))

    def report(self, pipeline: Pipeline, facts: StoreFacts, now: Now) -> GatewayStatus:
        """Report how the gateway is now."""
        totals = pipeline.admission.accounting.totals()
        return GatewayStatus(
            v=1,
            gateway=self.gateway,
            version=VERSION,
            state=now.state,
            at=now.at,
            started=now.started,
            nonce=now.nonce,
            **self.settings,
            definitions=Definitions(),
            rules=_rules(pipeline, now),
            alerts=_alerts(pipeline),
            gaps=_gaps(pipeline),
            fleet=_fleet(pipeline),
            messages=MessageCounts(**{name: totals[name] for name in MessageCounts.__struct_fields__}),
            values=_values(totals, facts),
            commands=CommandStatus(pending=len(pipeline.commands), refused=pipeline.commands.refused),
            counters=_counters(pipeline, facts, now.counters),
            clock=now.clock,
            store=StoreStatus(applied=facts.applied, floor=facts.floor, late_pending=facts.late_pending),
            broker=now.broker,
            spool=now.spool,
            sinks={
                name: SinkStatus(
                    waiting=Backlog(**asdict(waiting)),
                    **msgspec.structs.asdict(now.sinks.get(name, _NO_WORK)),
                )
                for name, waiting in sorted(facts.waiting.items())
            },
            problems=now.problems,
        )


def settings_of(config: GatewayConfig) -> dict[str, Any]:
    """Return the fields of the report that say what a verifier needs to compute the same windows."""
    time = config.time
    return {
        "sites": tuple(config.gateway.sites),
        "windows": tuple(
            WindowSettings(every=window.every, bucket=window.bucket, keep=window.keep or None)
            for window in config.windows
        ),
        "forwarded_tags": tuple(config.gateway.tags),
        "time": TimeSettings(
            allowed_lateness=time.allowed_lateness,
            idle_close=time.idle_close,
            max_future_skew=time.max_future_skew,
            earliest=time.earliest,
        ),
        "metrics": {
            name: MetricSettings(
                unit=metric.unit,
                range=metric.range,
                missing=tuple(metric.missing),
                rate=None if metric.rate is None else str(metric.rate),
            )
            for name, metric in config.metrics.items()
        },
        "max_reading_age": config.commands.max_reading_age,
    }


def _rules(pipeline: Pipeline, now: Now) -> RuleStatus:
    rules = pipeline.rules.rules
    return RuleStatus(
        hash=rules.hash,
        count=len(rules.rules),
        on_disk_hash=now.rules_on_disk,
        problems=tuple(one.text for one in now.problems if one.code == Problem.RULES.code),
    )


def _alerts(pipeline: Pipeline) -> AlertStatus:
    firing, muting = pipeline.rules.firing(), pipeline.rules.muting
    return AlertStatus(
        firing=len(firing),
        muted=sum(bool(one.suppressed) for one in firing),
        acknowledged=sum(one.acked for one in firing),
        flapping=len(muting.flapping),
        silences=len(muting.silences),
    )


def _fleet(pipeline: Pipeline) -> Fleet:
    registry, windows = pipeline.registry, pipeline.windows
    return Fleet(
        devices=registry.alive,
        retired=registry.retired,
        series=registry.table.counted,
        open_readings=windows.open_readings,
        open_windows=windows.open_coarser,
        strings=len(registry.strings),
    )


def _gaps(pipeline: Pipeline) -> Gaps:
    """Return what is missing of the devices' sequences."""
    names, sequences = pipeline.registry.device_name, pipeline.admission.sequences
    devices = sequences.devices_with_gaps()
    found = [
        (names[device], *gap) for device in devices for gap in sequences.gaps(device) if missing(*gap[1:])
    ]
    return Gaps(
        devices=len({device for device, *_ in found}),
        messages=sum(map(sequences.missing, devices)),
        ranges=tuple(
            Gap(device=device, boot=boot, from_=first, to=last)
            for device, boot, first, last in found[:MOST_GAPS]
        ),
    )


def _values(totals: Mapping[str, int], facts: StoreFacts) -> ValueCounts:
    """Return the counts of values; what the store found too late had counted as accepted when it arrived."""
    too_late = facts.counters.get("late_too_late", 0)
    return ValueCounts(
        values=totals["values"],
        accepted=totals["accepted"] - too_late,
        late_merged=totals["late_merged"] - too_late,
        too_late=totals["too_late"] + too_late,
        bad=totals["bad"],
        refused=totals["refused"],
    )


def _counters(pipeline: Pipeline, facts: StoreFacts, counters: Counters) -> AllCounters:
    """Return all counters: those of the running parts, the store and the fold."""
    registry, admission = pipeline.registry, pipeline.admission
    counted = {
        **{name: count for name, count in facts.counters.items() if name in _BY_STORE_OR_FOLD},
        **msgspec.structs.asdict(counters),
        **{f"refused_{reason}": count for reason, count in registry.refused.items()},
        **admission.sequences.totals(),
        **admission.clocks.totals(),
        "values_not_known": admission.accounting.totals()["values_not_known"],
        "births_cut": registry.births.cuts,
        "late_over_share": pipeline.windows.late_share.refused,
        "publishers_left_out": admission.watch.troubles.left_out,
        "label_changes_refused": registry.label_changes_refused,
        "log_lines_left_out": RATE_LIMIT.left_out + REPEATS.left_out,
    }
    return AllCounters(**counted)
