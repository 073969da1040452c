"""The gateway's report on itself: one nested mapping for the status topic, the CLI and /metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from edge_gateway.fleet.mark import missing
from edge_gateway.status import device_problems
from edge_gateway.status.logs import FLOOD
from edge_gateway.status.repeats import REPEATS
from fleet_wire.version import VERSION

if TYPE_CHECKING:
    from edge_gateway.configuration.model import GatewayConfig
    from edge_gateway.fold.pipeline import Pipeline
    from edge_gateway.store.store import StoreFacts

MOST_GAPS = 20
DEFINITIONS = {
    "sum": "exact, correctly rounded",
    "first": "the value of least (ts, value)",
    "last": "the value of greatest (ts, value)",
    "p95": "nearest rank; beyond 64 values a log-bucket sketch of 1 % relative error",
    "quality": "mean of the devices' own q over the readings; 1 where a device gives none",
}


@dataclass(frozen=True, slots=True)
class Now:
    """What changes from moment to moment and is owned by neither fold nor store."""

    state: str
    at: int
    started: int
    nonce: str
    rules_on_disk: str
    counters: Mapping[str, int]
    problems: list[dict[str, Any]]
    broker: Mapping[str, Any]
    spool: Mapping[str, Any]
    sinks: Mapping[str, Any]


def make_report(
    gateway: str, config: GatewayConfig, pipeline: Pipeline, facts: StoreFacts, now: Now
) -> dict[str, Any]:
    """Everything of the gateway that others may know; its schema is schemas/gateway-status.schema.json."""
    totals = pipeline.admission.accounting.totals()
    return {
        "v": 1,
        "gateway": gateway,
        "version": VERSION,
        "state": now.state,
        "at": now.at,
        "started": now.started,
        "nonce": now.nonce,
        **settings_of(config),
        "definitions": DEFINITIONS,
        "rules": {
            "hash": pipeline.rules.rules.hash,
            "count": len(pipeline.rules.rules.rules),
            "on_disk_hash": now.rules_on_disk,
            "problems": [one["text"] for one in now.problems if one["code"] == "rules"],
        },
        "alerts": {"firing": len(list(pipeline.rules.firing()))},
        "gaps": _gaps(pipeline),
        "fleet": {
            "devices": pipeline.registry.alive,
            "retired": pipeline.registry.retired,
            "series": pipeline.registry.table.counted,
            "open_readings": pipeline.windows.open_readings,
            "open_windows": pipeline.windows.open_coarser,
            "strings": len(pipeline.registry.strings),
        },
        "messages": {name: totals[name] for name in ("received", "new", "duplicate", "quarantined", "qos0")},
        "values": _values(totals, facts),
        "commands": {"pending": len(pipeline.commands), "refused": pipeline.commands.refused},
        "counters": {**now.counters, **facts.counters, **_at_bounds(pipeline)},
        "store": {"applied": facts.applied, "floor": facts.floor, "late_pending": facts.late_pending},
        "broker": dict(now.broker),
        "spool": dict(now.spool),
        "sinks": {
            name: {"waiting": asdict(waiting), **now.sinks.get(name, {})}
            for name, waiting in sorted(facts.waiting.items())
        },
        "problems": now.problems,
    }


def devices_told(pipeline: Pipeline, wanted: str | None) -> Iterator[dict[str, Any]]:
    """All that is known of one device, or of each that is not retired; counters, gaps, and what is wrong with it.

    Publishers of whom nothing was ever taken are there too, with nothing but their trouble.
    """
    registry, describe = pipeline.registry, pipeline.admission.describe
    troubles = device_problems.by_device(pipeline)
    for device in filter(registry.is_live, range(registry.devices)):
        if wanted not in {None, registry.device_name[device]}:
            continue
        told = describe(device)
        trouble = troubles.pop((told["site"], told["device"]), None)
        yield {**told, "trouble": trouble.why if trouble else None}
    for trouble in troubles.values():
        if wanted in {None, trouble.device}:
            yield {**device_problems.stranger(trouble), "trouble": trouble.why}


def _at_bounds(pipeline: Pipeline) -> dict[str, int]:
    """What was refused, given up or left out because of a bound, where there is any."""
    refused = {f"refused_{reason}": count for reason, count in sorted(pipeline.registry.refused.items())}
    found = {
        **refused,
        **pipeline.admission.sequences.totals(),
        "births_cut": pipeline.registry.births.cuts,
        "late_over_share": pipeline.windows.late_share.refused,
        "publishers_left_out": pipeline.admission.hearing.troubles.left_out,
        "label_changes_refused": pipeline.registry.label_changes_refused,
        "log_lines_left_out": FLOOD.left_out + REPEATS.left_out,
    }
    return {name: count for name, count in found.items() if count}


def settings_of(config: GatewayConfig) -> dict[str, Any]:
    """What a verifier needs to compute the same windows."""
    time = config.time
    return {
        "sites": list(config.gateway.sites),
        "windows": [
            {"every": window.every, "bucket": window.bucket, "keep": window.keep or None}
            for window in config.windows
        ],
        "forwarded_tags": list(config.gateway.tags),
        "time": {
            "allowed_lateness": time.allowed_lateness,
            "idle_close": time.idle_close,
            "max_future_skew": time.max_future_skew,
            "earliest": time.earliest,
        },
        "metrics": {
            name: {
                "unit": metric.unit,
                "range": metric.range,
                "missing": list(metric.missing),
                "rate": None if metric.rate is None else str(metric.rate),
            }
            for name, metric in config.metrics.items()
        },
        "max_reading_age": config.commands.max_reading_age,
    }


def _gaps(pipeline: Pipeline) -> dict[str, Any]:
    """What is missing of the devices' sequences."""
    names, sequences = pipeline.registry.device_name, pipeline.admission.sequences
    devices = sequences.gapped()
    found = [
        (names[device], *gap) for device in devices for gap in sequences.gaps(device) if missing(*gap[1:])
    ]
    return {
        "devices": len({device for device, *_ in found}),
        "messages": sum(map(sequences.missing, devices)),
        "ranges": [
            {"device": device, "boot": boot, "from": first, "to": last}
            for device, boot, first, last in found[:MOST_GAPS]
        ],
    }


def _values(totals: Mapping[str, int], facts: StoreFacts) -> dict[str, int]:
    """The identity of values: what the store found too late was counted as accepted when it came."""
    too_late = facts.counters.get("late_too_late", 0)
    return {
        "values": totals["values"],
        "accepted": totals["accepted"] - too_late,
        "late_merged": totals["late_merged"] - too_late,
        "too_late": totals["too_late"] + too_late,
        "bad": totals["bad"],
        "refused": totals["refused"],
    }
