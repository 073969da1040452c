"""The power proof finds nothing in what a gateway really did, and finds what would be missing without its syncs."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from edge_gateway.configuration.loading import load_config
from tests.proofs.power import proof as power
from tests.proofs.power.disk_model import VARIANTS
from tests.proofs.power.disk_trace import Step, strace_command
from tests.proofs.power.judging import Judge
from tests.proofs.power.proof import Recorded
from tests.proofs.power.recording import NO_STRACE, record
from tests.proofs.proof import Findings, Servers, Setting, Unavailable

pytestmark = [pytest.mark.broker, pytest.mark.skipif(strace_command(Path()) is None, reason=NO_STRACE)]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Setting, Recorded]]:
    place = tmp_path_factory.mktemp("power")
    with (
        Servers(place / "servers") as servers,
        Setting(place / "setting", count=1, seed=7, servers=servers, say=lambda _: None) as setting,
    ):
        yield setting, power.prepare(record(setting, 1.0, 6), place)


@pytest.fixture
def work(recorded: tuple[Setting, Recorded]) -> Recorded:
    return recorded[1]


def judged(work: Recorded, image: Path, count: int, *, steps: list[Step] | None = None) -> Findings:
    """Cut within this process; `steps` in place of those that were recorded."""
    logging.disable(logging.CRITICAL)
    steps = steps or work.recording.steps
    moments = work.moments if work.held else power.moments_before(steps, work.promises)
    cut = replace(work, recording=replace(work.recording, steps=steps), moments=moments)
    config = load_config(work.recording.config, environment={}).config
    judge = Judge(config, work.recording.gateway, work.reference)
    findings = Findings()
    cuts = power.choose_cuts(len(cut.recording.steps), count, Random(3))
    try:
        for one, disk in power.disks_at(cut, cuts):
            power.count_verdict(findings, one, power.judge_cut(cut, judge, one, disk, image))
    finally:
        logging.disable(logging.NOTSET)
    return findings


def test_recovery_keeps_every_promise_at_every_cut(work: Recorded, tmp_path: Path) -> None:
    assert work.promises.acknowledged > 10
    assert not work.promises.unrecorded
    findings = judged(work, tmp_path / "image", 30)
    assert findings.ok, findings.examples
    assert findings.faults.keys() == VARIANTS.keys()


def test_a_recovery_can_itself_be_cut(recorded: tuple[Setting, Recorded], tmp_path: Path) -> None:
    setting, work = recorded
    recovery_of = power.recovery_of(setting, work, tmp_path / "again")
    assert "sync" in {step.kind for step in recovery_of.recording.steps}
    findings = judged(recovery_of, tmp_path / "image", 30)
    assert findings.ok, findings.examples


@pytest.mark.parametrize("unsynced", [".journal", "store.sqlite"])
def test_the_power_proof_notices_a_missing_sync(work: Recorded, tmp_path: Path, unsynced: str) -> None:
    steps = [
        step
        for step in work.recording.steps
        if not (step.kind in {"sync", "sync-names"} and unsynced in step.path)
    ]
    assert len(steps) < len(work.recording.steps)
    assert not judged(work, tmp_path / "image", 30, steps=steps).ok


def test_every_step_is_cut_before_any_is_cut_twice() -> None:
    cuts = power.choose_cuts(30, 100, Random(1))
    assert len(cuts) == 100
    assert {cut.step for cut in cuts} == set(range(31))
    assert len({(cut.step, cut.variant) for cut in cuts}) == 100
    assert [cut.step for cut in power.choose_cuts(1000, 4, Random(1))] == [0, 250, 500, 750]


def test_without_strace_the_proof_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with (
        Servers(tmp_path) as servers,
        Setting(tmp_path / "s", count=1, seed=1, servers=servers, say=lambda _: None) as setting,
        pytest.raises(Unavailable, match="apt install strace"),
    ):
        power.run(setting)
