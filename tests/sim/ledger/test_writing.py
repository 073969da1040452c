"""A ledger is written once, and never over another run's."""

from pathlib import Path

import pytest

from fleet_sim.ledger.reading import read_ledger
from fleet_sim.ledger.writing import FILE_NAME, LedgerWriter
from tests.sim.ledger.written import written


def test_texts_are_numbered_once_and_read_back_in_order(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path) as ledger:
        ledger.header({})
        assert [ledger.text(word) for word in ("open", "closed", "open")] == [0, 1, 0]
        ledger.flush()
        assert ledger.text("ajar") == 2
    assert read_ledger(tmp_path).strings == ["open", "closed", "ajar"]


def test_a_flush_empties_the_rows_and_writes_nothing_twice(tmp_path: Path) -> None:
    with written(tmp_path) as ledger:
        ledger.flush()
        assert ledger.rows == 0
        assert len(ledger.table("acks")) == 0
        size = (tmp_path / FILE_NAME).stat().st_size
        ledger.flush()
        assert (tmp_path / FILE_NAME).stat().st_size == size


def test_a_run_never_overwrites_another(tmp_path: Path) -> None:
    with written(tmp_path):
        pass
    with pytest.raises(FileExistsError):
        LedgerWriter(tmp_path)


def test_too_many_metrics_are_refused(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path) as ledger, pytest.raises(ValueError, match="63"):
        ledger.group("wide", [f"m{i}" for i in range(64)])
