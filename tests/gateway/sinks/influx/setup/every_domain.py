"""Three minutes of a small fleet of every domain, as the product writes them, on a server with the templates."""

import time
from pathlib import Path

from msgspec import structs

from edge_gateway.records.store_effects import SeriesName, StoreEffects, TextName
from edge_gateway.sinks.influx.setup.apply import apply
from edge_gateway.sinks.influx.writer import InfluxWriter
from edge_gateway.store.database import Store
from edge_gateway.store.line_protocol import Limit, render_gateway, render_limit, render_unit
from edge_gateway.store.outbox import SinkBudget
from edge_gateway.store.settings import StoredTier, StoreSettings
from tests.gateway.records.transitions import too_warm
from tests.gateway.sinks.influx.setup.place import DAY, MINUTE, WINDOWS, target
from tests.gateway.store.fleet import closed, closed_states
from tests.servers.influx import Influx

FREEZERS = ("frz-1", "frz-2")
OTHERS = {
    "temperature": ["temperature"],
    "vibration": ["vibration"],
    "energy": ["energy"],
    "humidity": ["humidity"],
    "pressure": ["pressure"],
    "water-point": ["ammonia_n", "bod_atu", "lead", "oil", "ph", "dissolved_oxygen", "turbidity"],
    "air-station": ["co_gt", "nox_gt", "c6h6_gt", "no2_gt", "t", "rh"],
    "weather-station": ["temperature", "humidity", "pressure", "wind", "pm10"],
}
"""Metrics of the devices of site `hall`, by their type, which is their name, too."""
TAGS = {"section": "painting", "machine": "M01", "region": "AN"}
SETTINGS = StoreSettings(
    tuple(StoredTier(window.every, window.bucket, window.keep) for window in WINDOWS),
    forwarded=tuple(TAGS),
    sinks=(SinkBudget("influx", 1 << 30),),
)


def _series() -> tuple[SeriesName, ...]:
    """Temperatures of the freezers, their batteries and doors, then those of the other devices."""
    named = [
        (device, metric, "berlin", "freezer")
        for metric in ("temperature", "battery", "door")
        for device in FREEZERS
    ]
    named += [(kind, metric, "hall", kind) for kind, metrics in OTHERS.items() for metric in metrics]
    return tuple(
        SeriesName(series, 0, device, metric, site, kind, TAGS if site == "hall" else {})
        for series, (device, metric, site, kind) in enumerate(named)
    )


def _effects(start: int) -> StoreEffects:
    series = _series()
    temperatures = [
        (one, start + minute * MINUTE + second * 1000, -18.0 + one + minute + second / 10)
        for one in range(len(FREEZERS))
        for minute in range(3)
        for second in range(0, 60, 10)
    ]
    others = [
        (one.series, start + minute * MINUTE, 10.0)
        for one in series[2:]
        if one.metric != "door"
        for minute in range(3)
    ]
    doors = [one.series for one in series if one.metric == "door"]
    alert = too_warm(id="a", rule="Warm", value=-9.0, at=start)
    warning = structs.replace(alert, level="warning")
    ring = {
        "MachineTooHot": "temperature",
        "BodHigh": "water-point",
        "CarbonMonoxideHigh": "air-station",
        "Heat": "weather-station",
    }
    return StoreEffects(
        start,
        series,
        (TextName(0, "closed"), TextName(1, "open")),
        windows=(closed(0, temperatures + others),),
        states=(closed_states(0, [(doors[0], start, 0), (doors[0], start + 5, 1), (doors[1], start, 0)]),),
        alerts=(
            structs.replace(warning, at=start - 20 * DAY, rule="Old", value=None),
            structs.replace(
                warning, at=start - 2 * DAY, rule="Older", event="reminder", since=start - 40 * DAY
            ),
            structs.replace(alert, at=start - 60_000, rule="Cold"),
            alert,
            *(
                structs.replace(warning, rule=rule, subject=device, site="hall")
                for rule, device in ring.items()
            ),
            structs.replace(warning, rule="FreezerTooWarm"),
            structs.replace(alert, at=start + 1_000, event="repeat", cause="time"),
            structs.replace(alert, at=start + 60_000, rule="Cold", state="resolved", event="resolved"),
            structs.replace(alert, at=start + 60_001, rule="Cold", state="resolved", event="released"),
        ),
    )


def _own_lines(start: int) -> list[tuple[bytes, int]]:
    """The gateway's counters, three times, and once what describes the metrics."""
    found = []
    for step in range(3):
        report = {
            "messages": {
                "received": 60 * step,
                "new": 60 * step,
                "duplicate": 0,
                "not_known": 0,
                "quarantined": 0,
            },
            "values": {"accepted": 9, "late_merged": 0, "bad": 1 + 2 * step, "refused": 0, "too_late": 4},
            "broker": {"lag": 3},
            "commands": {"pending": 1},
            "gaps": {"messages": 5},
            "sinks": {"influx": {"waiting": {"lines": 7}, "failures": 0, "refused_lines": 0}},
            "spool": {"bytes": {"journal": 1_000_000, "checkpoints": 2_000_000, "quarantine": 0}},
        }
        found.append((render_gateway("gw", report, start + step * MINUTE), start + step * MINUTE))
    metrics = sorted({one.metric for one in _series()} - {"door"})
    limits = [Limit("R", "critical", metric, "above", "hall", 20.0, None) for metric in metrics]
    limits += [
        Limit("Warm", "critical", "temperature", "above", "berlin", 5.0, None),
        Limit("Warm", "warning", "temperature", "above", "berlin", 2.0, None),
        Limit("FreezerBatteryLow", "warning", "battery", "below", "berlin", 20.0, None),
    ]
    lines = [render_unit(metric, "°C", start) for metric in metrics] + [
        render_limit(one, start) for one in limits
    ]
    return [*found, (b"".join(lines), start)]


async def write_every_domain(influx: Influx, directory: Path) -> None:
    """Apply the templates, and write what such a fleet would have left by now."""
    await apply(target(influx), WINDOWS)
    start = int(time.time() * 1000) // MINUTE * MINUTE - 5 * MINUTE
    store = Store.open(directory / "store.sqlite", SETTINGS, floor=0, at=start)
    store.apply([(1, [_effects(start)])])
    for line, at in _own_lines(start):
        store.enqueue(line, at)
    async with InfluxWriter(influx.url, influx.org, lambda: influx.token) as writer:
        while (parcel := store.take("influx")) is not None:
            assert (await writer.write(parcel.bucket, parcel.body)).status == 204
            store.done(parcel)
    store.close()
