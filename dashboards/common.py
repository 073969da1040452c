"""Cells that several dashboards have."""

from __future__ import annotations

from collections.abc import Mapping

from dashboards.cells import AMBER, BLUE, CLOCK, FAR_BELOW, GREEN, RED, Cell, band, lines, stat, table, text
from dashboards.flux import (
    AGE,
    FIRING,
    MATH,
    RANK,
    ROUND,
    SETTLED,
    UNIT,
    WHOLE,
    against_limits,
    counted,
    increase,
    mean_by,
    windows,
    worst_lines,
)

CHOSEN = "r.site == v.fleet_site and r.metric == v.fleet_metric"
NO_WINDOWS = "The site has no windows of the metric in the time range"


def firing_count(level: str, colour: str, condition: str = "true") -> Cell:
    """How many alerts of a level fire."""
    wanted = f'r.level == "{level}" and {condition}'
    query = f'{FIRING}\nfiring\n    |> filter(fn: (r) => {wanted}, onEmpty: "keep")\n{counted()}'
    return stat(
        f"{level.capitalize()} now",
        query,
        note="No alert in the last thirty days",
        steps={0: GREEN, 1: colour},
    )


def firing_table(name: str = "Firing now", condition: str = "true") -> Cell:
    """What fires, the worst and newest first; a reminder says since when."""
    query = f"""\
{MATH}{ROUND}{RANK}{AGE}
{FIRING}
firing
    |> filter(fn: (r) => {condition})
    |> map(fn: (r) => ({{r with changed: if exists r.since then time(v: r.since * 1000000) else r._time}}))
    |> map(
        fn: (r) => ({{
            order: rank(level: r.level) * 10000000000 - int(v: r.changed) / 1000000000,
            level: r.level,
            device: r.device,
            rule: r.rule,
            value: if exists r.value then shown(x: r.value) else "–",
            limit: if exists r.limit then shown(x: r.limit) else "–",
            site: r.site,
            age: age(t: r.changed),
        }}),
    )
    |> sort(columns: ["order"])
    |> limit(n: 100)
"""
    columns = {
        "level": "level",
        "device": "subject",
        "rule": "rule",
        "value": "value",
        "limit": "limit",
        "site": "site",
        "age": "for",
    }
    return table(name, query, columns, note="No alert fires.")


def silent_count(
    condition: str = "true", name: str = "Silent now", note: str = "No device in the last day"
) -> Cell:
    """How many devices were heard within a day, and not in ten minutes."""
    query = f"""\
from(bucket: "telemetry")
    |> range(start: -1d)
    |> filter(fn: (r) => r._measurement == "sensor" and r._field == "count")
    |> filter(fn: (r) => {condition})
    |> last()
    |> group(columns: ["device"])
    |> max(column: "_time")
    |> group()
    |> filter(fn: (r) => uint(v: r._time) < uint(v: now()) - uint(v: 10m), onEmpty: "keep")
    |> count()
"""
    return stat(name, query, note=note, steps={0: GREEN, 1: AMBER})


def devices_count() -> Cell:
    query = """\
from(bucket: v.fleet_windows)
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "sensor" and r._field == "count")
    |> last()
    |> group()
    |> distinct(column: "device")
    |> count()
"""
    return stat("Devices", query, note="No device has reported in the time range", steps={0: BLUE})


def heard() -> Cell:
    """How long ago the gateway that is silent longest was heard."""
    query = """\
from(bucket: "telemetry")
    |> range(start: -30d)
    |> filter(fn: (r) => r._measurement == "gateway" and r._field == "received")
    |> last()
    |> group()
    |> map(fn: (r) => ({_value: float(v: uint(v: now()) - uint(v: r._time)) / 1000000000.0}))
    |> max()
"""
    return stat(
        "Gateway heard",
        query,
        note="No gateway in the last thirty days",
        steps={0: GREEN, 120: AMBER, 300: RED},
        suffix=" s ago",
    )


def not_counted() -> Cell:
    """What was received in the range and counts in no window."""
    query = (
        f"{increase('bad', 'refused', 'too_late', 'not_known', 'quarantined')}\n    |> group()\n    |> sum()"
    )
    return stat(
        "Not counted", query, note="No counters of a gateway in the time range", steps={0: GREEN, 1: AMBER}
    )


def newest_table() -> Cell:
    """The newest values of the metric at the site, with their unit."""
    query = f"""\
{MATH}{ROUND}{UNIT}
{windows("mean", CHOSEN)}
windows
    |> last()
    |> group()
    |> top(n: 100)
    |> map(
        fn: (r) => ({{
            order: -r._value,
            device: r.device,
            metric: r.metric,
            value: shown(x: r._value) + " " + unit,
            _time: r._time,
        }}),
    )
"""
    columns = {"device": "device", "metric": "metric", "value": "mean", "_time": "window"}
    return table("Newest of the site, greatest first", query, columns, note=NO_WINDOWS, clock=CLOCK)


def worst(name: str, conditions: str = CHOSEN, *, unit: str = "") -> Cell:
    """The ten worst devices against the limits of the rules."""
    return lines(name, worst_lines(conditions, of=_of_limits(conditions)), note=NO_WINDOWS, unit=unit)


def _of_limits(conditions: str) -> str:
    """The conditions that limits can meet: their points say site and metric, but not the type of a device."""
    return " and ".join(part for part in conditions.split(" and ") if not part.startswith("r.type"))


def device_band() -> Cell:
    query = f"""\
{MATH}windows = from(bucket: v.fleet_windows)
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "sensor" and r.site == v.fleet_site)
    |> filter(fn: (r) => r.device == v.fleet_device and r.metric == v.fleet_metric)

one = (field) => windows
    |> filter(fn: (r) => r._field == field)
    |> keep(columns: ["_time", "_value", "device", "metric"])
    |> group(columns: ["device", "metric"])
    |> sort(columns: ["_time"])
    |> map(fn: (r) => ({{r with _value: math.round(x: r._value * 1000.0) / 1000.0}}))

one(field: "mean") |> yield(name: "mean")
one(field: "max") |> yield(name: "max")
one(field: "min") |> yield(name: "min")
"""
    return band(
        "The device: least, mean and greatest",
        query,
        note="The chosen device has no windows of the metric in the time range",
    )


def site_lines(name: str, conditions: str = CHOSEN, *, unit: str = "") -> Cell:
    """Least, mean and greatest of all devices of a site."""
    query = f"""\
{MATH}{SETTLED}windows = from(bucket: v.fleet_windows)
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "sensor")
    |> filter(fn: (r) => {conditions})
    |> filter(fn: (r) => {WHOLE})

over = (field, fn) => windows
    |> filter(fn: (r) => r._field == field)
    |> group(columns: ["_time"])
    |> fn()
    |> toFloat()
    |> group()
    |> keep(columns: ["_time", "_value"])

mean = join(tables: {{s: over(field: "sum", fn: sum), c: over(field: "count", fn: sum)}}, on: ["_time"])
    |> map(fn: (r) => ({{_time: r._time, _value: r._value_s / r._value_c}}))

union(
    tables: [
        over(field: "max", fn: max) |> set(key: "line", value: "greatest"),
        over(field: "min", fn: min) |> set(key: "line", value: "least"),
        mean |> set(key: "line", value: "mean"),
    ],
)
    |> map(fn: (r) => ({{r with _value: math.round(x: r._value * 1000.0) / 1000.0}}))
    |> group(columns: ["line"])
    |> sort(columns: ["_time"])
"""
    return lines(name, query, note=NO_WINDOWS, unit=unit)


def states_table(condition: str = "r.site == v.fleet_site", name: str = "States of the site") -> Cell:
    query = f"""\
from(bucket: v.fleet_windows)
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "sensor_state" and r._field == "last")
    |> filter(fn: (r) => {condition})
    |> last()
    |> group()
    |> keep(columns: ["device", "metric", "_value", "_time"])
    |> sort(columns: ["device", "metric"])
    |> limit(n: 200)
"""
    columns = {"device": "device", "metric": "metric", "_value": "state", "_time": "window"}
    note = "Nothing there has doors, modes or switches in the time range"
    return table(name, query, columns, note=note, order="device", clock=CLOCK, digits=0)


def transitions_table(name: str = "Alerts, newest first", condition: str = "true") -> Cell:
    """What began and ended in the range, with its cause."""
    query = f"""\
{MATH}{ROUND}
from(bucket: "telemetry")
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "alert")
    |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
    |> filter(fn: (r) => r.event != "repeat" and r.event != "released" and r.event != "reminder")
    |> filter(fn: (r) => r.state != "pending" and r.state != "inactive")
    |> filter(fn: (r) => {condition})
    |> group()
    |> sort(columns: ["_time"], desc: true)
    |> limit(n: 100)
    |> map(
        fn: (r) => ({{
            order: -int(v: r._time),
            _time: r._time,
            device: r.device,
            rule: r.rule,
            level: r.level,
            event: r.event,
            cause: r.cause,
            value: if exists r.value then shown(x: r.value) else "–",
            site: r.site,
        }}),
    )
"""
    columns = {
        "_time": "time",
        "device": "subject",
        "rule": "rule",
        "level": "level",
        "event": "event",
        "cause": "cause",
        "value": "value",
        "site": "site",
    }
    return table(name, query, columns, note="No alert began or ended in the time range.", clock=CLOCK)


def about(what: str) -> Cell:
    return text(
        "What this shows",
        f"{what}\n\nPoints are closed windows; a late reading corrects its point in place.\n\n"
        "Clone this dashboard before you change it.",
    )


def newest_value(name: str, condition: str, fn: str, field: str = "mean") -> Cell:
    """One value of some windows: the last, least or greatest."""
    query = f"""{windows(field, condition)}
windows |> group() |> sort(columns: ["_time"]) |> {fn}()"""
    return stat(name, query, note="No windows in the time range", steps={FAR_BELOW: BLUE}, digits=2)


def nearest(name: str, condition: str, *, of: str = "true") -> Cell:
    """What is nearest to an upper limit, or beyond one."""
    columns = {
        "device": "device",
        "site": "site",
        "metric": "metric",
        "value": "mean",
        "level": "level",
        "limit": "limit",
        "share": "of limit",
    }
    note = "No rule has an upper limit on what was measured in the time range"
    return table(name, against_limits(condition, of=of), columns, note=note)


def ranked(name: str, condition: str, unit: str, *, lowest: bool = False) -> Cell:
    """The newest means of some series, the greatest or lowest first."""
    order, fn = ("r._value", "bottom") if lowest else ("-r._value", "top")
    query = f"""\
{MATH}{ROUND}
{windows("mean", condition)}
windows
    |> last()
    |> group()
    |> {fn}(n: 100)
    |> map(fn: (r) => ({{order: {order}, device: r.device, site: r.site, value: shown(x: r._value) + " {unit}"}}))
"""
    columns = {"device": "device", "site": "site", "value": "mean"}
    return table(name, query, columns, note="No such windows in the time range")


def by_site(name: str, metric: str, unit: str, kind: str = "true") -> Cell:
    """The mean of a metric, a line for each site."""
    note = f"No site has sent {metric} in the time range"
    return lines(name, mean_by("site", kind, f'r.metric == "{metric}"'), note=note, unit=unit)


def metric_worst(name: str, metric: str, unit: str, *conditions: str) -> Cell:
    """The ten worst devices of any site by one metric, with the limits."""
    return worst(name, " and ".join([*conditions, f'r.metric == "{metric}"']), unit=unit)


def gateway_now(name: str, field: str, steps: Mapping[float, str]) -> Cell:
    """The newest of a measure of the gateways, summed over them."""
    query = f"""\
from(bucket: "telemetry")
    |> range(start: -30d)
    |> filter(fn: (r) => r._measurement == "gateway" and r._field == "{field}")
    |> last()
    |> group()
    |> sum()
"""
    return stat(name, query, note="No gateway in the last thirty days", steps=steps)
