"""What a start finds in a spool that an earlier start had only begun to make."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.journal import spool
from edge_gateway.records.inputs import Moment
from edge_gateway.recovery.startup import recover_spool
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.clock import BUILT, MachineClock
from edge_gateway.store.schema import is_begun
from tests.proofs.ground.inside import Inside, configuration
from tests.proofs.order.histories import Reading


@pytest.mark.parametrize("begun", ["", "PRAGMA journal_mode=WAL", "PRAGMA application_id=0"])
def test_a_first_start_that_was_cut_short_is_a_first_start_again(tmp_path: Path, begun: str) -> None:
    with closing(sqlite3.connect(tmp_path / spool.STORE)) as db:
        db.execute(begun)
    (tmp_path / spool.JOURNAL).mkdir()
    config = GatewayConfig.model_validate({"version": 1, "mqtt": {"url": "mqtt://127.0.0.1"}})
    found = recover_spool(tmp_path, config, "gw", MachineClock())
    try:
        assert (found.fresh, found.whole, found.findings) == (True, True, [])
        assert found.store.coverage.floor <= 0
    finally:
        found.journal.close()
        found.store.close()


def test_a_store_that_cannot_be_read_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    assert not is_begun(tmp_path / "none")
    (tmp_path / "damaged").write_bytes(b"no database at all" * 300)
    assert is_begun(tmp_path / "damaged")


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_life_in_1970_does_not_make_a_clock_right_that_is_behind(
    tmp_path: Path, *, checkpoint: bool
) -> None:
    """Not before the newest journaled time: else a clock that stands months behind would be believed next."""
    now = BUILT + 10_000_000_000
    inside = Inside(tmp_path, configuration(tmp_path), now)
    for seq, (wall, trusted) in enumerate([(now, True), (1_000, False)]):
        said = Reading("d", "s", 1, seq, now + seq, {"heat": 1.0})
        inside.deliver(Moment(wall, seq, trusted), [said.delivery()])
        inside.commit()
        if checkpoint:
            inside.checkpoint()
        inside.crash()
    inside.clock.floor = BUILT
    inside.crash()
    assert inside.clock.floor == now
    inside.close()


def test_a_hole_in_records_that_the_checkpoint_includes_is_no_loss(tmp_path: Path) -> None:
    now = BUILT + 10_000_000_000
    inside = Inside(tmp_path, configuration(tmp_path), now)
    for seq in range(6):
        moment = Moment(now + 4_000 * seq, 4_000 * seq, trusted=True)
        inside.deliver(
            moment, [Reading("d", "s", 1, seq, now + 4_000 * seq, {"heat": float(seq)}).delivery()]
        )
        inside.commit()
    inside.close()
    recovered = recover_spool(tmp_path, inside.config, "gw", inside.clock)
    recovered.journal.close()
    recovered.store.close()
    (segment,) = (tmp_path / spool.JOURNAL).glob("*.journal")
    content = bytearray(segment.read_bytes())
    content[60:100] = bytes(40)
    segment.write_bytes(content)
    found = recover_spool(tmp_path, inside.config, "gw", inside.clock)
    try:
        assert [code for code, _ in found.findings] == [Problem.JOURNAL_CORRUPT]
        assert found.whole
    finally:
        found.journal.close()
        found.store.close()


def test_records_behind_a_hole_are_folded_without_what_is_lost_and_the_damage_is_told(tmp_path: Path) -> None:
    """They say that windows closed which began in the hole: no sign of another program, and nothing to quarantine."""
    now = BUILT + 10_000_000_000
    inside = Inside(tmp_path, configuration(tmp_path), now)
    (tmp_path / spool.CHECKPOINTS).joinpath(f"checkpoint-{0:020d}").unlink()
    for seq in range(6):
        said = [Reading(name, "s", 1, seq, now + 4_000 * seq, {"heat": float(seq)}) for name in ("d", "e")]
        moment = Moment(now + 4_000 * seq, 4_000 * seq, trusted=True)
        inside.deliver(moment, [one.delivery() for one in said[: 1 if seq else 2]])
        inside.commit()
    inside.tick(Moment(now + 400_000, 400_000, trusted=True))
    inside.commit()
    inside.close()
    (segment,) = (tmp_path / spool.JOURNAL).glob("*.journal")
    content = bytearray(segment.read_bytes())
    content[60:100] = bytes(40)
    segment.write_bytes(content)
    found = recover_spool(tmp_path, inside.config, "gw", inside.clock)
    try:
        codes = [code for code, _ in found.findings]
        assert Problem.JOURNAL_CORRUPT in codes
        assert Problem.RECORDS_QUARANTINED not in codes
        assert not found.whole
        assert found.state.pipeline.admission.accounting.totals()["new"] == 5
    finally:
        found.journal.close()
        found.store.close()
