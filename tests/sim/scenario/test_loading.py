# ruff: noqa: E501 - tables of messages are read line by line
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_config.problems import ProblemsFound
from fleet_config.yaml_source import parse_yaml
from fleet_sim.scenario.grammar import PhaseWindow
from fleet_sim.scenario.loading import load_scenario, read_scenario, scaled
from tests.hostile_files import NO_FILES
from tests.sim.scenario.small import SMALL, complaints, read, with_line

if TYPE_CHECKING:
    from pathlib import Path


def test_a_scenario_is_read_with_its_defaults_and_times_in_milliseconds() -> None:
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
            "factroy: no such profile; one of air, cold-chain, factory, water, weather, or the path of a YAML file; did you mean 'factory'?"
        )

    def test_a_missing_file(self) -> None:
        with pytest.raises(ProblemsFound, match=r"none\.yaml: no such file"):
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
            "3:20: password: a secret does not belong in a file; write ${MQTT_PASSWORD}"
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
        ("fleet.freezer.count=x", "--set fleet.freezer.count=x: count: must be a whole number, not the text 'x'"),
        ("fleet.freezer.cuont=5", "--set fleet.freezer.cuont=5: unknown key 'cuont'; did you mean 'count'? Allowed here: commands, count, id, interval, metrics, offline, position, site, tags, type"),
        ("fleet.frezer.count=5", "--set fleet.frezer.count=5: fleet has no section 'frezer'; did you mean 'freezer'?"),
        ("faults.9.for=5s", "--set faults.9.for=5s: faults has no section '9'"),
        ("faults.9=5s", "--set faults.9=5s: the list has 2 entries, counted from 0"),
        ("count", "--set count: write --set path.to.key=value"),
        ("seed=[1", "--set seed=[1: a ',' or the closing ']' of a list is missing"),
        ("faults.0.phase=stedy", "--set faults.0.phase=stedy: phase: there is no phase 'stedy'; did you mean 'steady'?"),
    ])  # fmt: skip
    def test_bad_ones_are_named(self, override: str, expected: str) -> None:
        assert complaints(SMALL, override) == [expected]

    def test_the_document_stays_as_it_is(self) -> None:
        document = parse_yaml(SMALL, "s.yaml")
        read_scenario(document, overrides=["seed=7"], env={})
        assert document.data["seed"] == 42


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_told_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    make, fault = NO_FILES[kind]
    make(tmp_path / "x.yaml")
    with pytest.raises(ProblemsFound) as found:
        load_scenario(str(tmp_path / "x.yaml"), env={})
    assert str(found.value) == f"{tmp_path / 'x.yaml'}: {fault}"
