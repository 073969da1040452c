from pathlib import Path

from edge_gateway.journal.checkpoint import write_checkpoint
from edge_gateway.records.store_effects import Quarantined, StoreEffects
from edge_gateway.store.budget import LATE_BYTES, late_bytes, late_share, quarantine_bytes, spool_bytes
from tests.gateway.store.fleet import T0, closed, late, named
from tests.gateway.store.stored import opened


def test_late_readings_quarantine_and_checkpoints_count_beside_the_journal(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.apply([(1, [named(windows=(closed(0, [(1, T0, 1.0)]),))])])
    write_checkpoint(tmp_path / "checkpoints", 1, {"state": list(range(1_000))})
    before = spool_bytes(tmp_path / "checkpoints", 5_000, store.facts())
    assert (before.journal, before.late, before.quarantine) == (5_000, 0, 0)
    assert before.checkpoints == sum(path.stat().st_size for path in (tmp_path / "checkpoints").iterdir())
    message = Quarantined("t", b"x" * 1_000, "bad", T0)
    store.apply(
        [(2, [StoreEffects(T0, late=late([(1, T0 + n, 1.0) for n in range(10)]), quarantined=(message,))])]
    )
    after = spool_bytes(tmp_path / "checkpoints", 5_000, store.facts())
    assert after.late == 10 * LATE_BYTES
    assert after.quarantine > 1_000
    assert after.beside_journal == after.total - 5_000 == before.checkpoints + after.late + after.quarantine
    store.close()


def test_checkpoints_that_were_set_aside_and_other_files_do_not_count(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for name in ("checkpoint-1", "checkpoint-2.corrupt-7", "other"):
        (tmp_path / name).write_bytes(bytes(10))
    assert spool_bytes(tmp_path, 0, store.facts()).checkpoints == 10
    store.close()


def test_late_readings_may_take_a_quarter_and_a_device_a_quarter_of_that() -> None:
    assert late_bytes(1 << 20) == 1 << 18
    assert late_share(1 << 20) == (1 << 16) // LATE_BYTES
    assert late_share(1) == 1


def test_a_quarantine_may_take_what_its_limit_says_and_a_quarter_of_the_spool() -> None:
    assert quarantine_bytes(100 << 20, 2 << 30) == 100 << 20
    assert quarantine_bytes(100 << 20, 16 << 20) == 4 << 20
