"""`influx apply`, `status`, `diff` and `remove`: from a plan to output and exit status, without a server."""

import json
from pathlib import Path
from typing import Any

import pytest

from edge_gateway import doctor
from edge_gateway.cli import main
from edge_gateway.doctor import CheckResult
from edge_gateway.sinks.influx.setup import apply as setup
from edge_gateway.sinks.influx.setup import removal as removing
from edge_gateway.sinks.influx.setup.comparison import Deviation
from edge_gateway.sinks.influx.setup.plan import Allowed, Change, Plan
from edge_gateway.sinks.influx.setup.removal import Removal
from edge_gateway.sinks.influx.setup.server import Target

IN_STEP = Plan("stack", (Change("keep", "Bucket", "telemetry"),))
DUE = Plan("stack", (Change("update", "Bucket", "telemetry", ("description",)),))
REFUSED = Plan("stack", DUE.changes, refusals=("points would be deleted",))
WARNED = Plan("stack", IN_STEP.changes, warnings=("a second stack",))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SETUP_TOKEN", "secret")
    path = tmp_path / "gateway.yaml"
    path.write_text(
        "mqtt: {url: mqtt://localhost}\ninflux: {url: http://db:8086, org: fleet, token: env:SETUP_TOKEN}\n"
    )
    return path


class Planned:
    """Stands in for `setup.plan` and `setup.apply`: answers with a plan and keeps what it was called with."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.called: list[tuple[Any, ...]] = []

    async def __call__(self, *arguments: Any) -> Plan:
        self.called.append(arguments)
        return self.plan


def run(*arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main(["influx", *arguments])
    return ended.value.code


@pytest.mark.parametrize(("plan", "status"), [(IN_STEP, 0), (DUE, 1), (REFUSED, 1), (WARNED, 1)])
def test_status_is_0_only_when_nothing_is_to_be_done(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], plan: Plan, status: int
) -> None:
    monkeypatch.setattr(setup, "plan", Planned(plan))
    assert run("status", "--config", str(file)) == status
    complaints = capsys.readouterr().err.splitlines()
    assert complaints == [*plan.warnings, *plan.refusals]


@pytest.mark.parametrize(("plan", "status"), [(IN_STEP, 0), (DUE, 0), (REFUSED, 2), (WARNED, 1)])
def test_a_dry_run_plans_and_applies_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch, plan: Plan, status: int
) -> None:
    planned, applied = Planned(plan), Planned(plan)
    monkeypatch.setattr(setup, "plan", planned)
    monkeypatch.setattr(setup, "apply", applied)
    assert run("apply", "--dry-run", "--config", str(file)) == status
    assert (len(planned.called), applied.called) == (1, [])


def test_an_apply_says_that_the_running_gateway_has_other_settings(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "apply", Planned(IN_STEP))
    told = CheckResult("settings", ok=False, detail="restart the gateway: influx changed since it started")
    monkeypatch.setattr(doctor, "check_settings", lambda _: told)
    assert run("apply", "--config", str(file)) == 0
    assert capsys.readouterr().err.splitlines() == [told.detail]


def test_an_apply_says_what_it_did_and_a_dry_run_what_it_would_do(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "plan", Planned(DUE))
    monkeypatch.setattr(setup, "apply", Planned(DUE))
    run("apply", "--dry-run", "--config", str(file))
    planned = capsys.readouterr().out
    run("apply", "--config", str(file))
    done = capsys.readouterr().out
    assert "update" in planned
    assert "updated" not in planned
    assert planned.endswith("nothing was changed; an apply would change 1 resource\n")
    assert "updated" in done
    assert done.endswith("changed 1 resource\n")


@pytest.mark.parametrize(
    ("plan", "last"),
    [(REFUSED, "nothing was changed"), (WARNED, "nothing was changed; an apply would change 0 resources")],
)
def test_a_dry_run_ends_with_what_an_apply_would_change(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], plan: Plan, last: str
) -> None:
    monkeypatch.setattr(setup, "plan", Planned(plan))
    run("apply", "--dry-run", "--config", str(file))
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_apply_passes_on_the_target_the_windows_and_what_is_allowed(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    applied = Planned(DUE)
    monkeypatch.setattr(setup, "apply", applied)
    options = ["--adopt", "bucket/telemetry", "--adopt", "fleet-site", "--force", "--json"]
    assert run("apply", *options, "--config", str(file)) == 0
    ((target, windows, allowed),) = applied.called
    assert (target.url, target.org, target.token) == ("http://db:8086", "fleet", "secret")
    assert [window.bucket for window in windows] == ["telemetry", "telemetry_10m", "telemetry_1h"]
    assert {window.settled for window in windows} == {60_000 + 2_000 + 30_000}
    assert allowed == Allowed(("bucket/telemetry", "fleet-site"), force=True)
    report = json.loads(capsys.readouterr().out)
    assert (report["in_step"], report["changes"][0]["differs"]) == (False, ["description"])


def removal(*, confirmed: bool) -> Removal:
    gone, stays = Change("remove", "Check", "Silent"), Change("keep", "Bucket", "b", ("its points stay",))
    return Removal((gone, stays), confirmed)


def test_a_removal_is_named_and_carried_out_only_with_yes(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[bool, bool]] = []

    async def remove(_: Target, *, points: bool, confirmed: bool) -> Removal:
        asked.append((points, confirmed))
        return removal(confirmed=confirmed)

    monkeypatch.setattr(removing, "remove", remove)
    assert run("remove", "--config", str(file)) == 2
    told = capsys.readouterr()
    assert ("remove" in told.out, "its points stay" in told.out, "--yes" in told.err) == (True, True, True)
    assert run("remove", "--yes", "--points", "--json", "--config", str(file)) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["removed"], [one["what"] for one in report["changes"]]) == (True, ["remove", "keep"])
    assert asked == [(False, False), (True, True)]


def test_a_difference_ends_diff_with_1_and_shows_both_values(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Deviation("Dashboard", "Fleet", "cell 'a'", "queries", "one\ntwo", "one\nthree")]

    async def diff(*_: Any) -> list[Deviation]:
        return found

    monkeypatch.setattr(setup, "diff", diff)
    assert run("diff", "--config", str(file)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["Dashboard 'Fleet', cell 'a': queries", "   one", "  -two", "  +three"]
    found.clear()
    assert run("diff", "--config", str(file)) == 0
    assert "in step" in capsys.readouterr().out
