# ruff: noqa: E501 - tables of messages are read line by line
"""Every mistake of a scenario file is reported with its line and column."""

from __future__ import annotations

import pytest

from fleet_sim.scenario.expectations import EXPECTABLE
from tests.sim.scenario.small import complaints, with_line


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("count: 10", "cuont: 10", ["5:3: freezer: the key 'count' is missing", "6:5: unknown key 'cuont'; did you mean 'count'? Allowed here: commands, count, id, interval, metrics, offline, position, site, tags, type"]),
    ("count: 10", "count: 0", ["5:3: fleet: no group has a device; give one a count above 0"]),
    ("interval: 10s", "interval: 10", ["11:15: interval: a duration needs a unit; write 10s, 10m or 10ms"]),
    ("interval: 10s", "interval: {evry: 10s}", ["11:5: interval: the key 'every' is missing", "11:16: unknown key 'evry'; did you mean 'every'? Allowed here: every, jitter, start"]),
    ("model: thermal", "model: termal", ["13:28: model: 'termal' is not allowed; did you mean 'thermal'? One of ar1, constant, cycle, dew_point, dissolved_oxygen, drain, linear, ou, pump, ramp, random_walk, sine, states, step, tank, thermal, wear, weather"]),
    ("setpoint: -18", "setpint: -18", ["13:7: temperature: the key 'setpoint' is missing", "13:37: unknown key 'setpint'; did you mean 'setpoint'? Allowed here: ambient, critical, every, excursions, label, lag, leak, max, min, model, noise, precision, quality, setpoint, start, unit, warning"]),
    ("setpoint: -18", "setpoint: [-18]", ["13:47: setpoint: must be a number or [low, high], not a list"]),
    ("setpoint: -18", "setpoint: cold", ["13:47: setpoint: must be a number or [low, high], not the text 'cold'"]),
    ("kind: stuck", "kind: stuk", ["22:10: kind: 'stuk' is not allowed; did you mean 'stuck'? One of bandwidth, battery_death, bias, black_hole, clock_jump, clock_skew, crash, delay, disconnect, drift, dropout, duplicate, event, flap, heat_up, late_batch, missing_code, nan, noise, offline, out_of_range, oversize, random, reboot, reorder, spike, storm, stuck, truncated, unit_mix_up, wrong_type"]),
    ("kind: stuck", "kind: flap", ["22:16: unknown key 'metric'; allowed here: after, down, every, expect_alert, for, kind, match, phase"]),
    ("metric: temperature", "metric: temprature", ["22:25: metric: no group has a metric 'temprature'; did you mean 'temperature'?"]),
    ("kind: stuck, metric: temperature", "kind: heat_up, metric: door", ["22:27: metric: 'door' is not of model thermal, so it cannot heat up"]),
    ("kind: stuck, metric: temperature", "kind: bias, by: 1, metric: door", ["22:31: metric: 'door' is a word; its faults are dropout and stuck, not bias"]),
    ("share: 20%", "share: 20", ["22:53: share: '20' is not between 0% and 100%; write 10% or 0.1"]),
    ("share: 20%", "sites: [a, 5]", ["22:57: sites: must be text, not the number 5; write '5' in quotes for text"]),
    ("{temperature.setpoint: value}", "{temperature.setpont: value}", ["16:26: 'temperature.setpont' cannot be set; one of temperature.setpoint, door.state; did you mean 'temperature.setpoint'?"]),
    ("name: ramp, for: 60s", "name: ramp", ["18:3: only the last phase may have no end; give the others one, such as for: 1m"]),
    ("name: ramp", "name: steady", ["18:10: name: two phases are named 'steady'", "19:10: name: two phases are named 'steady'"]),
    ("reconnect: {within: 3s}", "phase: ramp", ["20:65: phase: a fault in `do` happens in the phase it is in; remove this key"]),
    ("disconnect:", "disconect:", ["20:31: unknown key 'disconect'; did you mean 'disconnect'? Allowed here: bandwidth, battery_death, black_hole, clock_jump, crash, delay, disconnect, flap, late_batch, offline, reboot, storm"]),
    ('"frz-{i:05d}"', '"frz"', ["7:9: id: 'frz' gives all devices the same id; it must contain {i} or {i:05d}"]),
    ('"frz-{i:05d}"', '"frz-{n}-{i}"', ["7:9: id: 'frz-{n}-{i}' may contain {i}, {i:05d}, {site} and {group}, and no other braces"]),
    ('"frz-{i:05d}"', '"frz/{i}"', ["7:9: id: 'frz/0' is not a device id; use 1 to 64 of A-Z a-z 0-9 _ -"]),
    ("closed: 55m, open: 2m}", "closed: 55m}, initial: ajar", ["14:59: there is no state 'ajar'"]),
    ("closed: 55m, open: 2m}", "closed: 55m, open: 2m}, then: {opn: {closed: 1}, open: {shut: 1}}", ["14:67: there is no state 'opn'; did you mean 'open'?", "14:92: there is no state 'shut'"]),
    ("zone: A", "site: A", ["9:28: 'site' cannot be a tag; it is a key of the group"]),
    ('unit: "°C"', "excursions: {}", ["13:61: excursions: they go to the thresholds, so give warning: and critical: too"]),
    ('unit: "°C"', "min: 5, max: 5", ["13:66: min: 5 is not below max 5"]),
    ("interval: 10s", "topic: 'v1/{id}'", ["11:5: custom topics are not supported in this version; devices use fleet/v1"]),
    ("interval: 10s", "payload: {ts: 1}", ["11:5: custom payloads are not supported in this version; devices use fleet/v1"]),
    ("interval: 10s", "encoding: json", ["11:5: other encodings are not supported in this version; devices use fleet/v1"]),
    ("interval: 10s", "credentials: {csv: d.csv}", ["11:5: not supported in this version; use broker.username and broker.password"]),
    ("publish.ack.p99", "publish.ack.p98", [f"25:3: publish.ack.p98: 'publish.ack.p98' is not measured; one of {', '.join(sorted(EXPECTABLE))}; did you mean 'publish.ack.p99'?"]),
    ('"< 250ms"', '"250ms"', ["25:20: publish.ack.p99: '250ms' is not an expectation; write one like \"< 250ms\", \"== 0\" or \">= 99%\""]),
    ("seed: 42", "broker: {url: 'http://x'}", ["3:15: url: not a broker's address; write mqtt://host:1883 or mqtts://host:8883"]),
    ("version: 1", "version: 2", ["1:10: version: the number 2 is not allowed; one of 1"]),
])  # fmt: skip
def test_what_is_wrong_is_said_where_it_stands(old: str, new: str, expected: list[str]) -> None:
    found = complaints(with_line(old, new))
    assert [text[: len(wanted)] for text, wanted in zip(found, expected, strict=True)] == expected


def test_ids_are_unique_over_the_fleet() -> None:
    twins = "version: 1\nname: x\nfleet:\n" + "".join(
        f"  {name}: {{count: 1, id: 'd-{{i}}', metrics: {{m: {{model: constant, value: 1}}}}}}\n"
        for name in "ab"
    )
    assert complaints(twins) == ["5:21: id: 'd-0' is also a device of 'a'; ids must be unique in the fleet"]


@pytest.mark.parametrize(("metrics", "expected"), [
    ("{a: {model: linear, of: b}, b: {model: linear, of: a}}", ["3:33: a is computed from itself", "3:60: b is computed from itself"]),
    ("{a: {model: linear, of: a}}", ["3:33: a is computed from itself"]),
    ("{a: {model: linear, of: bb}, bbb: {model: constant, value: 1}}", ["3:33: a: the group has no metric 'bb'; did you mean 'bbb'?"]),
    ("{s: {model: constant, value: 1}, f: {model: pump, shutoff: 1, curve: 1, while: {s: 'on'}}}", ["3:112: 's' is not of model states"]),
    ("{s: {model: states, stay: {on: 1m}}, f: {model: pump, shutoff: 1, curve: 1, while: {s: 'of'}}}", ["3:119: 's' has no state 'of'"]),
])  # fmt: skip
def test_metrics_that_lead_nowhere(metrics: str, expected: list[str]) -> None:
    found = complaints(f"version: 1\nname: x\nfleet: {{g: {{count: 1, metrics: {metrics}}}}}\n")
    assert [text[: len(wanted)] for text, wanted in zip(found, expected, strict=True)] == expected
