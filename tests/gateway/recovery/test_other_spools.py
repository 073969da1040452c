"""A spool that a program of another version wrote, or whose checkpoint lacks something."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.errors import OtherSpool
from edge_gateway.fold.pipeline import FOLD
from edge_gateway.journal import checkpoint, spool
from edge_gateway.journal import framing as frames
from edge_gateway.journal.checkpoint import write_checkpoint
from edge_gateway.journal.segments import Journal
from edge_gateway.recovery import record
from edge_gateway.recovery.startup import Startup, recover_spool
from edge_gateway.recovery.state import State
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.clock import MachineClock
from fleet_console.version import VERSION
from tests.gateway.recovery.journaled import journal, opened, second, stop

NUMBER = 5


def begin(place: Path) -> Startup:
    config = GatewayConfig.model_validate(
        {
            "mqtt": {"url": "mqtt://localhost"},
            "windows": [{"every": "10s", "bucket": "a", "keep": "30d"}],
        }
    )
    return recover_spool(place, config, "gw", MachineClock())


def begun(place: Path) -> State:
    """A spool whose store is behind record NUMBER; its state."""
    found = begin(place)
    found.store.apply([(NUMBER, ())])
    found.store.close()
    return found.state


def test_a_checkpoint_that_lacks_something_is_set_aside(tmp_path: Path) -> None:
    tree = begun(tmp_path).snapshot()
    del tree["fold"]["windows"]
    write_checkpoint(tmp_path / spool.CHECKPOINTS, NUMBER, tree)
    found = begin(tmp_path)
    assert Problem.CHECKPOINT_CORRUPT in dict(found.findings)
    assert not found.whole
    assert list((tmp_path / spool.CHECKPOINTS).glob("*.corrupt-*"))
    found.store.close()


@pytest.mark.parametrize("by", [1, -1])
def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path, by: int) -> None:
    state = begun(tmp_path)
    with pytest.MonkeyPatch.context() as other:
        other.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + by)
        write_checkpoint(tmp_path / spool.CHECKPOINTS, NUMBER, state.snapshot())
    refused(tmp_path, f"checkpoint-{NUMBER:020d}")


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    begun(tmp_path)
    with pytest.MonkeyPatch.context() as later:
        later.setattr(frames, "MAGIC", b"EGJ\x02")
        journal = Journal.open(tmp_path / spool.JOURNAL)
        journal.append(1, b"whatever")
        journal.sync()
    refused(tmp_path, r"\.journal")


def lived(place: Path, seconds: int) -> None:
    with opened(place) as life:
        for number in range(1, seconds):
            journal(life, number, second(number * 1000))


def upgraded(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the program is one whose fold makes something else of records."""
    monkeypatch.setattr(record, "FOLD", FOLD + 1)


def test_records_that_another_fold_must_take_in_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(tmp_path, 5)
    upgraded(monkeypatch)
    refused(
        tmp_path, rf"journal holds records .*: start version {VERSION} once and stop it, then start this one"
    )


def test_after_a_clean_stop_another_fold_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lived(tmp_path, 5)
    with opened(tmp_path) as life:
        stop(tmp_path, life, life.number)
    upgraded(monkeypatch)
    with opened(tmp_path) as life:
        assert (life.number, life.whole, life.findings) == (4, True, [])
        for number in range(5, 9):
            journal(life, number, second(number * 1000))
    with opened(tmp_path) as life:
        assert (life.number, life.whole, life.findings) == (8, True, [])
    monkeypatch.undo()
    with opened(tmp_path):
        pass  # the start before left a checkpoint: the way back is free, too


def test_records_of_two_folds_behind_a_damaged_checkpoint_are_lost_and_the_gateway_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither version can fold both, so neither could start if they were refused."""
    lived(tmp_path, 5)
    with opened(tmp_path):
        pass
    upgraded(monkeypatch)
    with opened(tmp_path) as life:
        journal(life, 5, second(5_000))
    (newest,) = (tmp_path / spool.CHECKPOINTS).glob(f"*{4:020d}")
    newest.write_bytes(newest.read_bytes()[:-1])
    with opened(tmp_path) as life:
        assert (life.number, life.whole) == (5, False)
        assert Problem.CHECKPOINT_CORRUPT in dict(life.findings)


def test_a_start_alone_makes_the_way_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It folds what is there into a checkpoint, so the old version need not run for long."""
    lived(tmp_path, 5)
    with opened(tmp_path):
        pass
    upgraded(monkeypatch)
    with opened(tmp_path) as life:
        assert (life.number, life.whole) == (4, True)


def refused(place: Path, name: str) -> None:
    """Every start is refused by a text that names the file, and leaves everything where it is."""
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    for _ in range(3):
        with pytest.raises(OtherSpool, match=name):
            begin(place)
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
