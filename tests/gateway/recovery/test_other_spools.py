"""A spool that a program of another version wrote, or whose checkpoint lacks something."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.errors import OtherSpool
from edge_gateway.journal import checkpoint, spool
from edge_gateway.journal import framing as frames
from edge_gateway.journal.checkpoint import write_checkpoint
from edge_gateway.journal.segments import Journal
from edge_gateway.recovery.startup import Startup, recover_spool
from edge_gateway.recovery.state import State
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.clock import MachineClock

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


def refused(place: Path, name: str) -> None:
    """Every start is refused by a text that names the file, and leaves everything where it is."""
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    for _ in range(3):
        with pytest.raises(OtherSpool, match=name):
            begin(place)
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
