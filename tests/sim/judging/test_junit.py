"""A run's expectations as test cases."""

from pathlib import Path
from xml.etree import ElementTree as ET

from fleet_sim.judging.junit import junit
from fleet_sim.judging.report import checks_of
from fleet_sim.scenario.expectations import Expectation


def test_junit_holds_one_case_an_expectation(tmp_path: Path) -> None:
    checks = checks_of(
        {
            "a.b": Expectation("<", 1.0, "< 1"),
            "c.d": Expectation("<", 1.0, "< 1"),
            "e.f": Expectation("<", 1.0, "< 1"),
        },
        {"a.b": 0.5, "c.d": 1.5},
    )
    junit(tmp_path / "j.xml", "cold-chain", checks, 2.5)
    suite = ET.parse(tmp_path / "j.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    assert [case[0].tag if len(case) else "ok" for case in suite] == ["ok", "failure", "skipped"]


def test_what_was_not_measured_names_the_command_that_measures_it(tmp_path: Path) -> None:
    checks = checks_of({"delivery.lost": Expectation("==", 0.0, "== 0")}, {}, Path("runs/a"))
    junit(tmp_path / "j.xml", "cold-chain", checks, 2.5)
    [skipped] = ET.parse(tmp_path / "j.xml").getroot().iter("skipped")
    assert "what a gateway stored: fleet-sim verify runs/a --history-cmd" in (skipped.get("message") or "")
