"""Queries that cells share. Windows come from the bucket that `fleet_windows` chooses, the rest from the base."""

from __future__ import annotations

from typing import Final

MATH: Final = 'import "math"\n\n'
ROUND: Final = """\
shown = (x) => string(v: math.round(x: x * 1000.0) / 1000.0)
"""

FIRING: Final = """\
firing = from(bucket: "telemetry")
    |> range(start: -30d)
    |> filter(fn: (r) => r._measurement == "alert")
    |> last()
    |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
    |> group(columns: ["device", "rule", "site"])
    |> sort(columns: ["_time"])
    |> last(column: "state")
    |> group()
    |> filter(fn: (r) => r.state == "firing", onEmpty: "keep")
"""
"""`firing`: the newest transition of each alert that fires. Reminders keep those that last within the thirty days."""

AGE: Final = """\
age = (t) => {
    minutes = int(v: uint(v: now()) - uint(v: t)) / 60000000000

    return if minutes < 120 then string(v: minutes) + " min"
        else if minutes < 2880 then string(v: minutes / 60) + " h"
        else string(v: minutes / 1440) + " d"
}
"""

RANK: Final = 'rank = (level) => if level == "critical" then 0 else if level == "warning" then 1 else 2\n'

UNIT: Final = """\
units = from(bucket: "telemetry")
    |> range(start: -2d)
    |> filter(fn: (r) => r._measurement == "metric" and r.metric == v.fleet_metric)
    |> last()
    |> findColumn(fn: (key) => true, column: "_value")
unit = if length(arr: units) > 0 then units[0] else ""
"""
"""`unit`: that of the chosen metric, "" if births give none."""

SETTLED: Final = """\
// A window that only some devices have closed would make the lines jump. Set from gateway.yaml.
settled = 0ms

"""
WHOLE: Final = "uint(v: r._time) <= uint(v: now()) - uint(v: settled)"
"""A condition on windows: all devices have closed them."""


def windows(field: str, *conditions: str) -> str:
    """`windows`: a field of the windows in the range that meet the conditions on `r`."""
    return "\n".join(
        [
            "windows = from(bucket: v.fleet_windows)",
            "    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)",
            f'    |> filter(fn: (r) => r._measurement == "sensor" and r._field == "{field}")',
            *(f"    |> filter(fn: (r) => {condition})" for condition in conditions),
            "",
        ]
    )


def limits(*conditions: str) -> str:
    """`limits`: those of the rules in force that meet the conditions on `r`."""
    return "\n".join(
        [
            'limits = from(bucket: "telemetry")',
            "    |> range(start: -2d)",
            '    |> filter(fn: (r) => r._measurement == "limit" and r._field == "value")',
            *(f"    |> filter(fn: (r) => {condition})" for condition in conditions),
            "    |> last()",
            "    |> group()",
            "",
        ]
    )


def worst_lines(*conditions: str, of: str) -> str:
    """The ten worst devices as lines with their limits: the greatest, or the least where the limits are below.

    `conditions` choose windows, `of` their limits.
    """
    return f"""\
{MATH}{SETTLED}{windows("mean", *conditions, WHOLE)}
{limits(of)}
newest = windows |> last() |> group()
lower = limits |> filter(fn: (r) => r.side == "below") |> findColumn(fn: (key) => true, column: "site")
ten = if length(arr: lower) > 0 then newest |> bottom(n: 10) else newest |> top(n: 10)
worst = ten |> findColumn(fn: (key) => true, column: "device")
devices = windows
    |> filter(fn: (r) => contains(value: r.device, set: worst))
    |> map(fn: (r) => ({{_time: r._time, _value: r._value, line: r.device}}))
    |> group()
begin = devices |> sort(columns: ["_time"]) |> limit(n: 1)
end = devices |> sort(columns: ["_time"], desc: true) |> limit(n: 1)
times = union(tables: [begin, end]) |> map(fn: (r) => ({{_time: r._time, one: 1}}))
edges = limits |> unique(column: "level") |> map(fn: (r) => ({{limit: r._value, name: "limit, " + r.level, one: 1}}))
crossed = join(tables: {{t: times, l: edges}}, on: ["one"])
    |> map(fn: (r) => ({{_time: r._time, _value: r.limit, line: r.name}}))

union(tables: [devices, crossed])
    |> map(fn: (r) => ({{r with _value: math.round(x: r._value * 1000.0) / 1000.0}}))
    |> group(columns: ["line"])
    |> sort(columns: ["_time"])
"""


def counted(column: str = "state") -> str:
    """The number of rows of a table, as a value."""
    return f'    |> count(column: "{column}")\n    |> rename(columns: {{{column}: "_value"}})'


def increase(*fields: str) -> str:
    """By how much counters of gateways grew in the range, starts of the gateway included."""
    named = " or ".join(f'r._field == "{field}"' for field in fields)
    return f"""\
from(bucket: "telemetry")
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "gateway")
    |> filter(fn: (r) => {named})
    |> toFloat()
    |> increase()
    |> last()"""


def of_sites(metric: str = "r.metric == v.fleet_metric") -> str:
    """One row for each site: devices, mean, least, greatest of a metric, and how many critical and warning alerts."""
    return f"""\
{MATH}{ROUND}
{FIRING}
windows = from(bucket: v.fleet_windows)
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "sensor" and {metric})

total = (field, fn) => windows
    |> filter(fn: (r) => r._field == field)
    |> group(columns: ["site"])
    |> fn()
    |> toFloat()
    |> group()
    |> keep(columns: ["site", "_value"])
    |> set(key: "what", value: field)
firing_of = (level) => firing
    |> filter(fn: (r) => r.level == level)
    |> group(columns: ["site"])
    |> count(column: "state")
    |> group()
    |> map(fn: (r) => ({{site: r.site, _value: float(v: r.state), what: level}}))
devices = windows
    |> filter(fn: (r) => r._field == "count")
    |> last()
    |> group(columns: ["site"])
    |> distinct(column: "device")
    |> count()
    |> group()
    |> map(fn: (r) => ({{site: r.site, _value: float(v: r._value), what: "devices"}}))

union(
    tables: [
        total(field: "sum", fn: sum),
        total(field: "count", fn: sum),
        total(field: "min", fn: min),
        total(field: "max", fn: max),
        firing_of(level: "critical"),
        firing_of(level: "warning"),
        devices,
    ],
)
    |> group()
    |> pivot(rowKey: ["site"], columnKey: ["what"], valueColumn: "_value")
    |> filter(fn: (r) => exists r.count)
    |> map(
        fn: (r) => ({{
            site: r.site,
            devices: string(v: r.devices),
            critical: if exists r.critical then string(v: r.critical) else "0",
            warning: if exists r.warning then string(v: r.warning) else "0",
            mean: shown(x: r.sum / r.count),
            min: shown(x: r.min),
            max: shown(x: r.max),
        }}),
    )
    |> sort(columns: ["site"])
"""


def mean_by(column: str, *conditions: str) -> str:
    """A line for each value of a column: the mean of all its readings, window by window."""
    return f"""\
{MATH}{SETTLED}windows = from(bucket: v.fleet_windows)
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "sensor")
{chr(10).join(f"    |> filter(fn: (r) => {condition})" for condition in conditions)}
    |> filter(fn: (r) => exists r.{column} and r.{column} != "unknown")
    |> filter(fn: (r) => {WHOLE})

over = (field) => windows
    |> filter(fn: (r) => r._field == field)
    |> group(columns: ["_time", "{column}"])
    |> sum()
    |> toFloat()
    |> group()

join(tables: {{s: over(field: "sum"), c: over(field: "count")}}, on: ["_time", "{column}"])
    |> map(
        fn: (r) => ({{
            _time: r._time,
            {column}: r.{column},
            _value: math.round(x: r._value_s / r._value_c * 1000.0) / 1000.0,
        }}),
    )
    |> group(columns: ["{column}"])
    |> sort(columns: ["_time"])
"""


def against_limits(*conditions: str, of: str = "true", by: str = "device") -> str:
    """The newest means beside the limits of their sites, the nearest to a limit first.

    `share` is the part of a limit that is used up. Limits below are left out: what is far above them is well.
    """
    return f"""\
{MATH}{ROUND}
{windows("mean", *conditions)}
{limits('r.side == "above"', of)}
newest = windows
    |> last()
    |> group()
    |> keep(columns: ["site", "metric", "device", "{by}", "_value"])

join(tables: {{n: newest, l: limits |> keep(columns: ["site", "metric", "level", "_value"])}}, on: ["site", "metric"])
    |> filter(fn: (r) => r._value_l > 0.0)
    |> map(fn: (r) => ({{r with share: r._value_n / r._value_l}}))
    |> sort(columns: ["share"], desc: true)
    |> limit(n: 100)
    |> map(
        fn: (r) => ({{
            order: -r.share,
            {by}: r.{by},
            site: r.site,
            metric: r.metric,
            value: shown(x: r._value_n),
            level: r.level,
            limit: shown(x: r._value_l),
            share: string(v: int(v: math.round(x: r.share * 100.0))) + " %",
        }}),
    )
"""


def onsets_by(column: str, rows: int = 20) -> str:
    """How often alerts began in the range, by a column, the most first."""
    return f"""\
from(bucket: "telemetry")
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "alert" and r._field == "event" and r._value == "firing")
    |> group(columns: ["{column}"])
    |> count()
    |> group()
    |> top(n: {rows})
    |> map(fn: (r) => ({{order: -r._value, {column}: r.{column}, times: r._value}}))
"""


def onsets_over_time() -> str:
    """How many alerts began in each part of the range, by level."""
    return """\
from(bucket: "telemetry")
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "alert" and (r._field == "event" or r._field == "level"))
    |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
    |> filter(fn: (r) => r.event == "firing" or r.event == "escalated")
    |> map(fn: (r) => ({_time: r._time, _start: r._start, _stop: r._stop, level: r.level, _value: 1}))
    |> group(columns: ["level", "_start", "_stop"])
    |> sort(columns: ["_time"])
    |> aggregateWindow(every: v.windowPeriod, fn: sum)
    |> fill(value: 0)
    |> group(columns: ["level"])
    |> keep(columns: ["_time", "_value", "level"])
"""


def rate_of(*fields: str) -> str:
    """Counters of gateways as a rate a second."""
    named = " or ".join(f'r._field == "{field}"' for field in fields)
    return f"""\
{MATH}from(bucket: "telemetry")
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "gateway")
    |> filter(fn: (r) => {named})
    |> derivative(unit: 1s, nonNegative: true)
    |> map(fn: (r) => ({{r with _value: math.round(x: r._value * 100.0) / 100.0}}))
    |> keep(columns: ["_time", "_value", "_field", "gateway"])
    |> group(columns: ["gateway", "_field"])
"""


def level_of(*fields: str, part: float = 1.0) -> str:
    """Measures of gateways as they were, divided by `part`."""
    named = " or ".join(f'r._field == "{field}"' for field in fields)
    return f"""\
from(bucket: "telemetry")
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "gateway")
    |> filter(fn: (r) => {named})
    |> toFloat()
    |> keep(columns: ["_time", "_value", "_field", "gateway"])
    |> group(columns: ["gateway", "_field"])
    |> map(fn: (r) => ({{r with _value: r._value / {part}}}))
"""


def growth(*fields: str) -> str:
    """By how much counters of each gateway grew in the range, a row each."""
    return f"""\
{increase(*fields)}
    |> group()
    |> map(fn: (r) => ({{gateway: r.gateway, counter: r._field, grown: int(v: r._value)}}))
    |> sort(columns: ["gateway", "counter"])
"""


def transitions(state: str) -> str:
    """How many alerts began (`firing`) or ended (`resolved`) in the range."""
    return f"""\
from(bucket: "telemetry")
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "alert" and (r._field == "event" or r._field == "state"))
    |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
    |> group()
    |> filter(fn: (r) => r.event == "{state}" and r.state == "{state}", onEmpty: "keep")
{counted()}
"""


def open_doors(then: str) -> str:
    """The doors that are open now, and what becomes of them."""
    return f"""\
from(bucket: "telemetry")
    |> range(start: -1d)
    |> filter(fn: (r) => r._measurement == "sensor_state" and r._field == "last" and r.metric == "door")
    |> last()
    |> group()
    |> filter(fn: (r) => r._value == "open", onEmpty: "keep")
{then}
"""


def newest_of_all(condition: str) -> str:
    """The newest mean of every metric, with its unit."""
    return f"""\
{MATH}{ROUND}
units = from(bucket: "telemetry")
    |> range(start: -2d)
    |> filter(fn: (r) => r._measurement == "metric")
    |> last()
    |> group()
    |> map(fn: (r) => ({{metric: r.metric, what: "unit", text: r._value}}))
{windows("mean", condition)}
newest = windows |> last() |> group()
values = newest |> map(fn: (r) => ({{metric: r.metric, what: "value", text: shown(x: r._value)}}))
times = newest |> map(fn: (r) => ({{metric: r.metric, what: "time", text: string(v: r._time)}}))

union(tables: [values, times, units])
    |> group()
    |> pivot(rowKey: ["metric"], columnKey: ["what"], valueColumn: "text")
    |> filter(fn: (r) => exists r.value)
    |> map(
        fn: (r) => ({{
            metric: r.metric,
            value: r.value,
            unit: if exists r.unit then r.unit else "",
            _time: time(v: r.time),
        }}),
    )
    |> sort(columns: ["metric"])
"""
