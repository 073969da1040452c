# ruff: noqa: E501 - tables of messages are read line by line
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_config.problems import ProblemsFound
from fleet_config.yaml_source import parse_yaml
from fleet_sim.faults.plan import NEVER
from fleet_sim.scenario.grammar import EXPECTABLE, PhaseWindow
from fleet_sim.scenario.loading import load_scenario, profile_names, read_scenario, scaled, scenario_schema
from fleet_sim.scenario.planning import plan_devices, plan_faults
from tests.hostile_files import NO_FILES

if TYPE_CHECKING:
    from pathlib import Path

    from fleet_sim.scenario.loading import Scenario

SMALL = """\
version: 1
name: small
seed: 42
fleet:
  freezer:
    count: 10
    id: "frz-{i:05d}"
    site: [berlin, lyon, porto]
    tags: {line: [L0, L1], zone: A}
    position: {lat: [52.4, 52.6], lon: 13.5}
    interval: 10s
    metrics:
      temperature: {model: thermal, setpoint: -18, lag: 4m, unit: "°C", warning: -14}
      door: {model: states, stay: {closed: 55m, open: 2m}}
    commands:
      compressor: {set: {temperature.setpoint: value}}
phases:
- {name: ramp, for: 60s, connect: 100/s}
- {name: steady, for: 10m}
- {name: storm, for: 2m, do: {disconnect: {match: {site: lyon}, reconnect: {within: 3s}}}}
faults:
- {kind: stuck, metric: temperature, match: {share: 20%}, phase: steady, after: 1m, for: 5m}
- {kind: duplicate, match: {device: "frz-0000[12]"}}
expect:
  publish.ack.p99: "< 250ms"
  delivery.lost: "== 0"
"""


def read(text: str = SMALL, *overrides: str, **env: str) -> Scenario:
    return read_scenario(parse_yaml(text, "s.yaml"), overrides=overrides, env=env)


def complaints(text: str = SMALL, *overrides: str, **env: str) -> list[str]:
    with pytest.raises(ProblemsFound) as found:
        read(text, *overrides, **env)
    return [str(problem).removeprefix("s.yaml:") for problem in found.value.problems]


def with_line(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new)


def test_the_scenario_of_the_handbook() -> None:
    made = read()
    group = made.fleet["freezer"]
    assert (group.interval.every, group.interval.jitter, group.offline.buffer) == (10_000, 0.0, 500)
    assert made.timeline() == (
        PhaseWindow("ramp", 0, 60_000, made.phases[0].connect),
        PhaseWindow("steady", 60_000, 660_000, None),
        PhaseWindow("storm", 660_000, 780_000, None),
    )
    assert made.duration_ms == 780_000
    assert (made.expect["publish.ack.p99"].limit, made.expect["publish.ack.p99"].comparison) == (250.0, "<")


def test_plans_are_dealt_round_robin() -> None:
    plans = plan_devices(read())
    assert [plan.id for plan in plans[:2]] == ["frz-00000", "frz-00001"]
    assert [plan.site for plan in plans[:4]] == ["berlin", "lyon", "porto", "berlin"]
    assert [dict(plan.tags) for plan in plans[:3]] == [
        {"line": "L0", "zone": "A"},
        {"line": "L1", "zone": "A"},
        {"line": "L0", "zone": "A"},
    ]
    assert {plan.type for plan in plans} == {"freezer"}
    assert all(plan.lat is not None and 52.4 <= plan.lat <= 52.6 and plan.lon == 13.5 for plan in plans)
    assert len({plan.lat for plan in plans}) == 10
    assert plans[0].metrics["temperature"].unit == "°C"
    assert plans[0].metrics["temperature"].warning == -14


def test_phases_of_devices_are_even_and_do_not_depend_on_the_fleet_size() -> None:
    small, large = plan_devices(read()), plan_devices(read(SMALL, "fleet.freezer.count=1000"))
    assert small == large[:10]
    phases = sorted(plan.phase_ms for plan in large)
    assert max(b - a for a, b in zip(phases, [*phases[1:], 10_000], strict=True)) <= 3 * 10_000 / 1000
    aligned = read(SMALL, "fleet.freezer.interval={every: 1s, start: aligned}")
    assert {plan.phase_ms for plan in plan_devices(aligned)} == {0}


def test_faults_have_devices_and_times() -> None:
    made = read(SMALL, "fleet.freezer.count=3000")
    stuck, duplicate, disconnect = plan_faults(made, plan_devices(made))
    assert (stuck.from_ms, stuck.until_ms, stuck.metric, stuck.where) == (
        120_000,
        420_000,
        "temperature",
        "sensor",
    )
    assert len(stuck.devices) == pytest.approx(600, abs=80)
    assert (duplicate.devices, duplicate.from_ms, duplicate.until_ms) == (
        ("frz-00001", "frz-00002"),
        0,
        780_000,
    )
    assert (disconnect.kind, disconnect.where, disconnect.from_ms, disconnect.until_ms) == (
        "disconnect",
        "link",
        660_000,
        780_000,
    )
    assert len(disconnect.devices) == 1000
    assert [fault.number for fault in (stuck, duplicate, disconnect)] == [0, 1, 2]


def test_shards_choose_the_same_devices() -> None:
    made = read(SMALL, "fleet.freezer.count=300")
    plans = plan_devices(made)
    whole = plan_faults(made, plans)[0].devices
    shards = [plan_faults(made, plans[shard::3])[0].devices for shard in range(3)]
    assert sorted(device for shard in shards for device in shard) == sorted(whole)


def test_a_fault_without_an_end_lasts() -> None:
    made = read(
        "version: 1\nname: x\nfleet: {a: {count: 1, metrics: {m: {model: constant, value: 1}}}}\nfaults: [{kind: bias, metric: m, by: 1}]"
    )
    assert made.timeline() == (PhaseWindow("run", 0, None, None),)
    (fault,) = plan_faults(made, plan_devices(made))
    assert (fault.from_ms, fault.until_ms, fault.devices) == (0, NEVER, ("a-00000",))


class TestScaled:
    def test_sensors_are_split_in_proportion(self) -> None:
        made = scaled(load_scenario("factory", env={}), sensors=5000)
        assert {name: group.count for name, group in made.fleet.items()} == {
            "temperature": 2000, "vibration": 1500, "energy": 500, "humidity": 500, "pressure": 500,
        }  # fmt: skip

    @settings(deadline=None)
    @given(st.integers(0, 5000))
    def test_none_is_lost(self, sensors: int) -> None:
        counts = [
            group.count for group in scaled(load_scenario("factory", env={}), sensors=sensors).fleet.values()
        ]
        assert sum(counts) == sensors
        assert all(
            abs(count - sensors * share) < 1
            for count, share in zip(counts, (0.4, 0.3, 0.1, 0.1, 0.1), strict=True)
        )

    def test_duration_sets_the_last_phase_and_interval_every_group(self) -> None:
        made = scaled(read(), duration_ms=5000, interval_ms=200)
        assert made.duration_ms == 665_000
        assert made.fleet["freezer"].interval.every == 200
        assert (
            scaled(
                read(with_line(SMALL[SMALL.index("phases:") : SMALL.index("expect:")], "")), duration_ms=5000
            ).duration_ms
            == 5000
        )
        assert scaled(read()) == read()


class TestSources:
    def test_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.yaml"
        path.write_text(SMALL)
        assert load_scenario(str(path), env={}) == read()

    def test_unknown_profiles_are_named_with_a_suggestion(self) -> None:
        with pytest.raises(ProblemsFound) as found:
            load_scenario("factroy", env={})
        assert str(found.value) == (
            "factroy:1:1: no such profile; one of air, cold-chain, factory, water, weather, or the path of a YAML file; did you mean 'factory'?"
        )

    def test_a_missing_file(self) -> None:
        with pytest.raises(ProblemsFound, match=r"none\.yaml:1:1: no such file"):
            load_scenario("none.yaml", env={})


class TestEnvironment:
    def test_values_defaults_and_numbers(self) -> None:
        text = with_line("count: 10", "count: ${COUNT:-7}").replace(
            "site: [berlin, lyon, porto]", 'site: "${SITE:-rome}"'
        )
        assert read(text).fleet["freezer"].count == 7
        assert read(text, COUNT="12", SITE="5").fleet["freezer"].count == 12
        assert read(text, COUNT="12", SITE="5").fleet["freezer"].site == ("5",)
        assert read(text, COUNT="").fleet["freezer"].count == 7

    def test_in_the_middle_of_a_text_and_escaped(self) -> None:
        text = with_line("seed: 42", 'seed: 42\ndescription: "a ${X} b $${X} c ${Y:-}"')
        assert read(text, X="1").description == "a 1 b ${X} c "

    def test_what_is_not_set_is_a_problem_at_its_place(self) -> None:
        assert complaints(with_line("seed: 42", "seed: ${SEED}")) == [
            "3:7: seed: must be a whole number, not the text '${SEED}'",
            "3:7: the variable SEED is not set; set it, or write ${SEED:-default}",
        ]

    def test_secrets_come_from_the_environment_only(self) -> None:
        assert (
            read(
                with_line("seed: 42", "broker: {username: '{id}', password: '${PW}'}"), PW="s3"
            ).broker.password
            == "s3"
        )
        assert complaints(with_line("seed: 42", "broker: {password: hunter2}")) == [
            "3:20: password: a secret does not belong into a file; write ${MQTT_PASSWORD}"
        ]
        assert (
            "user and password do not belong"
            in complaints(with_line("seed: 42", "broker: {url: 'mqtt://a:b@c'}"))[0]
        )


class TestOverrides:
    def test_values_are_yaml(self) -> None:
        made = read(
            SMALL,
            "fleet.freezer.count=500",
            "faults.0.for=1m",
            "fleet.freezer.site=[a, b]",
            "seed=7",
            "fleet.freezer.interval={every: 5s}",
        )
        assert (made.fleet["freezer"].count, made.seed, made.fleet["freezer"].site) == (500, 7, ("a", "b"))
        assert made.faults[0].for_ == 60_000
        assert made.fleet["freezer"].interval.every == 5000

    @pytest.mark.parametrize(("override", "expected"), [
        ("fleet.freezer.count=x", "--set fleet.freezer.count=x:1:1: count: must be a whole number, not the text 'x'"),
        ("fleet.freezer.cuont=5", "--set fleet.freezer.cuont=5:1:1: unknown key 'cuont'; allowed here: commands, count, id, interval, metrics, offline, position, site, tags, type; did you mean 'count'?"),
        ("fleet.frezer.count=5", "--set fleet.frezer.count=5:1:1: fleet has no 'frezer' to go into; did you mean 'freezer'?"),
        ("faults.9.for=5s", "--set faults.9.for=5s:1:1: faults has no '9' to go into"),
        ("faults.9=5s", "--set faults.9=5s:1:1: the list has 2 entries, counted from 0"),
        ("count", "--set count:1:1: write it as path.to.key=value"),
        ("seed=[1", "--set seed=[1:1:1: a ',' or the closing ']' of a list is missing"),
        ("faults.0.phase=stedy", "--set faults.0.phase=stedy:1:1: phase: there is no phase 'stedy'; did you mean 'steady'?"),
    ])  # fmt: skip
    def test_bad_ones_are_named(self, override: str, expected: str) -> None:
        assert complaints(SMALL, override) == [expected]

    def test_the_document_stays_as_it_is(self) -> None:
        document = parse_yaml(SMALL, "s.yaml")
        read_scenario(document, overrides=["seed=7"], env={})
        assert document.data["seed"] == 42


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("count: 10", "cuont: 10", ["5:3: freezer: the key 'count' is missing", "6:5: unknown key 'cuont'; allowed here: commands, count, id, interval, metrics, offline, position, site, tags, type; did you mean 'count'?"]),
    ("interval: 10s", "interval: 10", ["11:15: interval: a duration needs a unit; write 10s, 10m or 10ms"]),
    ("interval: 10s", "interval: {evry: 10s}", ["11:5: interval: the key 'every' is missing", "11:16: unknown key 'evry'; allowed here: every, jitter, start; did you mean 'every'?"]),
    ("model: thermal", "model: termal", ["13:28: model: 'termal' is not allowed; one of ar1, constant, cycle, dew_point, dissolved_oxygen, drain, linear, ou, pump, ramp, random_walk, sine, states, step, tank, thermal, wear, weather; did you mean 'thermal'?"]),
    ("setpoint: -18", "setpint: -18", ["13:7: temperature: the key 'setpoint' is missing", "13:37: unknown key 'setpint'; allowed here: ambient, critical, every, excursions, label, lag, leak, max, min, model, noise, precision, quality, setpoint, start, unit, warning; did you mean 'setpoint'?"]),
    ("setpoint: -18", "setpoint: [-18]", ["13:47: setpoint: must be a number or [low, high], not a list"]),
    ("setpoint: -18", "setpoint: cold", ["13:47: setpoint: must be a number or [low, high], not the text 'cold'"]),
    ("kind: stuck", "kind: stuk", ["22:10: kind: 'stuk' is not allowed; one of bandwidth, battery_death, bias, black_hole, clock_jump, clock_skew, crash, delay, disconnect, drift, dropout, duplicate, event, flap, heat_up, late_batch, missing_code, nan, noise, offline, out_of_range, oversize, random, reboot, reorder, spike, storm, stuck, truncated, unit_mix_up, wrong_type; did you mean 'stuck'?"]),
    ("kind: stuck", "kind: flap", ["22:16: unknown key 'metric'; allowed here: after, down, every, expect_alert, for, kind, match, phase"]),
    ("metric: temperature", "metric: temprature", ["22:25: metric: no group has a metric 'temprature'; did you mean 'temperature'?"]),
    ("kind: stuck, metric: temperature", "kind: heat_up, metric: door", ["22:27: metric: 'door' is not of model thermal, so it cannot heat up"]),
    ("kind: stuck, metric: temperature", "kind: bias, by: 1, metric: door", ["22:31: metric: 'door' is a word; its faults are dropout and stuck, not bias"]),
    ("share: 20%", "share: 20", ["22:53: share: '20' is not between 0% and 100%; write 10% or 0.1"]),
    ("share: 20%", "sites: [a, 5]", ["22:57: sites: must be text, not the number 5; write '5' in quotes for text"]),
    ("{temperature.setpoint: value}", "{temperature.setpont: value}", ["16:26: 'temperature.setpont' cannot be set; one of temperature.setpoint, door.state; did you mean 'temperature.setpoint'?"]),
    ("name: ramp, for: 60s", "name: ramp", ["18:3: only the last phase may have no end; write for: 1m"]),
    ("name: ramp", "name: steady", ["18:10: name: two phases are named 'steady'", "19:10: name: two phases are named 'steady'"]),
    ("reconnect: {within: 3s}", "phase: ramp", ["20:65: phase: a fault of `do` happens in its own phase; leave this out"]),
    ("disconnect:", "disconect:", ["20:31: unknown key 'disconect'; allowed here: bandwidth, battery_death, black_hole, clock_jump, crash, delay, disconnect, flap, late_batch, offline, reboot, storm; did you mean 'disconnect'?"]),
    ('"frz-{i:05d}"', '"frz"', ["7:9: id: 'frz' gives all devices the same id; it must hold {i} or {i:05d}"]),
    ('"frz-{i:05d}"', '"frz-{n}-{i}"', ["7:9: id: 'frz-{n}-{i}' may hold {i}, {i:05d}, {site} and {group}, and no other braces"]),
    ('"frz-{i:05d}"', '"frz/{i}"', ["7:9: id: 'frz/0' is no device id; 1 to 64 of A-Z a-z 0-9 _ - are allowed"]),
    ("closed: 55m, open: 2m}", "closed: 55m}, initial: ajar", ["14:59: there is no state 'ajar'"]),
    ("closed: 55m, open: 2m}", "closed: 55m, open: 2m}, then: {opn: {closed: 1}, open: {shut: 1}}", ["14:67: there is no state 'opn'; did you mean 'open'?", "14:92: there is no state 'shut'"]),
    ("zone: A", "site: A", ["9:28: 'site' is no tag; it is a key of the group"]),
    ('unit: "°C"', "excursions: {}", ["13:61: excursions: they lead to the thresholds; give warning: and critical:"]),
    ('unit: "°C"', "min: 5, max: 5", ["13:66: min: 5 is not below max 5"]),
    ("interval: 10s", "topic: 'v1/{id}'", ["11:5: topics of one's own are not supported in this version; devices speak fleet/v1"]),
    ("interval: 10s", "payload: {ts: 1}", ["11:5: payloads of one's own are not supported in this version; devices speak fleet/v1"]),
    ("interval: 10s", "encoding: json", ["11:5: other encodings are not supported in this version; devices speak fleet/v1"]),
    ("interval: 10s", "credentials: {csv: d.csv}", ["11:5: not supported in this version; use broker.username and broker.password"]),
    ("publish.ack.p99", "publish.ack.p98", [f"25:3: publish.ack.p98: 'publish.ack.p98' is not measured; one of {', '.join(sorted(EXPECTABLE))}; did you mean 'publish.ack.p99'?"]),
    ('"< 250ms"', '"250ms"', ["25:20: publish.ack.p99: '250ms' is no expectation; write one like \"< 250ms\", \"== 0\" or \">= 99%\""]),
    ("seed: 42", "broker: {url: 'http://x'}", ["3:15: url: this is no broker's address; write mqtt://host:1883 or mqtts://host:8883"]),
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
    assert complaints(twins) == ["5:21: id: 'd-0' is also a device of 'a'; ids are unique over the fleet"]


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


@pytest.mark.parametrize(("text", "value", "holds"), [
    ("< 250ms", 249.9, True), ("< 250ms", 250.0, False), ("<=1s", 1000.0, True), ("== 0", 0, True), ("== 0", 1, False), ("!= 0", 1, True),
    (">= 99%", 0.995, True), (">= 99%", 0.98, False), ("> 0.5", 0.6, True), ("!= 0", float("nan"), False), ("< 1", float("nan"), False),
])  # fmt: skip
def test_expectations(text: str, value: float, holds: bool) -> None:
    made = read(with_line('"< 250ms"', f"'{text}'"))
    assert made.expect["publish.ack.p99"].holds(value) is holds


class TestSchema:
    """The JSON Schema is for editors: it must know every key and not refuse what is right."""

    def test_it_is_plain_json_with_every_model_and_kind(self) -> None:
        schema: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(scenario_schema()))
        text = str(schema)
        for word in (
            "thermal",
            "dissolved_oxygen",
            "heat_up",
            "clock_skew",
            "late_batch",
            "connect",
            "replay_rate",
            "for",
            "while",
            "share",
        ):
            assert f"'{word}'" in text
        assert "for_" not in text
        assert schema["properties"].keys() == {
            "version",
            "name",
            "description",
            "seed",
            "broker",
            "fleet",
            "phases",
            "faults",
            "expect",
        }
        assert schema["additionalProperties"] is False

    def test_every_key_of_every_profile_is_in_it(self) -> None:
        from fleet_config.yaml_source import load_yaml
        from fleet_sim.scenario import loading as module

        text = str(scenario_schema())
        for name in profile_names():
            document = load_yaml(module._PROFILES / f"{name}.yaml")
            for group in document.data["fleet"].values():
                for metric in group["metrics"].values():
                    for key in metric:
                        assert f"'{key}'" in text


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_told_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    make, fault = NO_FILES[kind]
    make(tmp_path / "x.yaml")
    with pytest.raises(ProblemsFound) as found:
        load_scenario(str(tmp_path / "x.yaml"), env={})
    assert str(found.value) == f"{tmp_path / 'x.yaml'}:1:1: {fault}"
