"""The harness: what a run says and how it ends, with proofs made up for it."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tests.proofs import __main__ as command
from tests.proofs.catalogue import PROOFS
from tests.proofs.proof import Findings, Proof, Setting, Unavailable
from tests.proofs.report import BROKEN, HELD, NOT_RUN, Outcome
from tests.proofs.running import Job, run_all


def held(setting: Setting) -> None:
    setting.findings.faults["push"] += setting.count
    setting.findings.acknowledged = 100 + setting.rng.randrange(100)
    setting.findings.recoveries += [1.0, 3.0, 2.0]


def loses(setting: Setting) -> None:
    held(setting)
    setting.findings.lost = 1
    setting.findings.show("a window that lacks a reading")


def forbids(setting: Setting) -> None:
    held(setting)
    setting.findings.forbid("stale command", "the one of yesterday")


def idles(setting: Setting) -> None:
    del setting


def raises(setting: Setting) -> None:
    held(setting)
    raise RuntimeError("the gateway ended")


def lacks(setting: Setting) -> None:
    del setting
    raise Unavailable("no InfluxDB 2: install one")


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """`./prove` with made-up proofs: exit status and what was said."""
    made_up = (held, loses, forbids, idles, raises, lacks)
    proofs = tuple(Proof(each.__name__, "made up", "pushes", 50, 5, each) for each in made_up)
    monkeypatch.setattr(command, "PROOFS", proofs)
    monkeypatch.setattr(command, "BY_NAME", {proof.name: proof for proof in proofs})
    application = typer.Typer(add_completion=False)
    application.command()(command.main)

    def call(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(application, arguments)
        return done.exit_code, done.output

    return call


def test_without_a_name_the_proofs_are_listed(run: Run) -> None:
    status, said = run()
    assert status == 0
    assert "held" in said
    assert "in full 50 pushes" in said


def test_an_unknown_name_is_refused_with_a_suggestion(run: Run) -> None:
    status, said = run("hold")
    assert status == 2
    assert "did you mean 'held'" in said


@pytest.mark.parametrize(
    ("name", "status", "told"),
    [
        ("held", 0, "held"),
        ("loses", 1, "a window that lacks a reading"),
        ("forbids", 1, "stale command: the one of yesterday"),
        ("idles", 1, "it injected no fault"),
        ("raises", 1, ": the gateway ended"),
        ("lacks", 3, "no InfluxDB 2: install one"),
    ],
)
def test_the_exit_status_reflects_the_results(run: Run, name: str, status: int, told: str) -> None:
    found, said = run(name, "--quick")
    assert found == status, said
    assert told in said


def test_a_failed_proof_stops_no_other_and_is_not_hidden_by_one_that_could_not_run(run: Run) -> None:
    status, said = run("all", "--quick")
    assert status == 1
    assert said.count("BROKEN") >= 4
    assert "not run" in said


def test_the_report_holds_the_counts_and_the_seed_that_repeats_them(run: Run, tmp_path: Path) -> None:
    reports = []
    for place in (tmp_path / "a.json", tmp_path / "b.json"):
        assert run("held", "--count", "7", "--seed", "3", "--json", str(place))[0] == 0
        reports.append(json.loads(place.read_text())["proofs"][0])
    first, second = reports
    assert first["faults"] == {"push": 7}
    assert first["recovery"] == {"median": 2.0, "max": 3.0}
    assert (first["seed"], first["verdict"], first["lost"]) == (3, "held", 0)
    assert first["readings_acknowledged"] == second["readings_acknowledged"]


def test_kept_files_go_into_an_empty_directory(run: Run, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("of an earlier run")
    status, said = run("held", "--quick", "--keep", str(tmp_path))
    assert status == 2
    assert "not empty" in said
    assert run("held", "--quick", "--keep", str(tmp_path / "new"))[0] == 0
    assert (tmp_path / "new" / "held").is_dir()


def test_every_forbidden_counter_fails_a_proof() -> None:
    assert Findings().ok
    for name in ("lost", "double", "wrong", "alerts_lost", "alerts_repeated", "executed_twice", "tracebacks"):
        findings = Findings()
        setattr(findings, name, 1)
        assert not findings.ok, name


def test_every_proof_has_a_unique_name_and_a_sample() -> None:
    assert len({proof.name for proof in PROOFS}) == len(PROOFS)
    assert all(0 < proof.quick <= proof.full for proof in PROOFS)


def dies(setting: Setting) -> None:
    del setting
    os.kill(os.getpid(), signal.SIGKILL)


def in_parallel(place: Path, *proofs: Callable[[Setting], None]) -> list[Outcome]:
    jobs = [
        Job(Proof(run.__name__, "made up", "pushes", 50, 5, run), 5, 7, place / run.__name__, quick=True)
        for run in proofs
    ]
    return list(run_all(jobs, place, at_once=2))


def test_proofs_run_in_parallel_are_reported_in_order_with_their_counts(tmp_path: Path) -> None:
    outcomes = in_parallel(tmp_path, held, loses, lacks)
    assert [outcome.verdict for outcome in outcomes] == [HELD, BROKEN, NOT_RUN]
    assert outcomes[0].findings.faults == {"push": 5}
    assert outcomes[1].findings.examples == ["a window that lacks a reading"]
    assert outcomes[2].why == "no InfluxDB 2: install one"


def test_a_proof_whose_process_is_killed_fails(tmp_path: Path) -> None:
    (outcome, _) = in_parallel(tmp_path, dies, dies)
    assert outcome.verdict == BROKEN
    assert "was killed" in outcome.why
