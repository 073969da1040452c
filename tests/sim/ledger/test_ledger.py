"""The ledger gives back what was written, and what a crash leaves of it."""

from pathlib import Path

import numpy as np
import pytest

from fleet_sim.ledger.reading import LedgerUnreadable, read_ledger
from fleet_sim.ledger.writing import FILE_NAME, VOID, LedgerWriter, ReadingColumns


def add(columns: ReadingColumns, device: int, seq: int, **values: float) -> None:
    columns.device.append(device)
    columns.boot.append(17)
    columns.seq.append(seq)
    columns.ts.append(1000 * seq)
    columns.sent.append(5000 + seq)
    columns.flags.append(0)
    columns.present.append(sum(1 << bit for bit, name in enumerate(columns.numbers) if name in values))
    for name, column in zip(columns.numbers, columns.values, strict=True):
        column.append(values.get(name, 0.0))


def written(directory: Path) -> LedgerWriter:
    ledger = LedgerWriter(directory)
    ledger.header({"name": "test", "boot": 17})
    columns = ledger.group("freezer", ["temperature", "humidity"])
    ledger.devices(0, 0, [{"id": "a", "site": "x", "type": "freezer", "tags": {"line": "L0"}}])
    add(columns, 0, 0, temperature=-18.5, humidity=40.0)
    add(columns, 0, 1, temperature=float("nan"))
    ledger.flush()
    add(columns, 0, 2, humidity=0.1)
    columns.flags[0] = VOID
    columns.doubt("humidity", [0.25])
    ledger.table("acks").extend((0, 17, 0, 99, 0))
    ledger.table("acks").extend((0, 17, 1, 100, 0x97))
    ledger.note("fault", number=0, kind="stuck")
    return ledger


def test_everything_comes_back(tmp_path: Path) -> None:
    with written(tmp_path) as ledger:
        ledger.end("finished", {"at": 1})
    found = read_ledger(tmp_path)
    assert found.header["name"] == "test"
    assert [(device.id, device.tags) for device in found.devices] == [("a", {"line": "L0"})]
    [group] = found.groups
    assert group.table["seq"].tolist() == [0, 1, 2]
    assert group.present(0).tolist() == [True, True, False]
    assert group.present(1).tolist() == [True, False, True]
    np.testing.assert_array_equal(group.values[0], [-18.5, np.nan, 0.0])
    assert group.intact().tolist() == [True, True, False]
    assert {name: column.tolist() for name, column in group.quality.items()} == {"humidity": [1.0, 1.0, 0.25]}
    assert found.tables["acks"]["code"].tolist() == [0, 0x97]
    assert len(found.tables["sends"]) == 0
    assert found.of_kind("fault") == [{"k": "fault", "number": 0, "kind": "stuck"}]
    assert found.end is not None
    assert not found.torn


@pytest.mark.parametrize("cut", [1, 4, 9, 30])
def test_a_torn_tail_is_left_out_and_said(tmp_path: Path, cut: int) -> None:
    with written(tmp_path):
        pass
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:-cut])
    found = read_ledger(tmp_path)
    assert found.torn
    assert found.end is None
    assert found.groups[0].table["seq"].tolist()[:2] == [0, 1]


def test_a_damaged_frame_ends_the_reading_there(tmp_path: Path) -> None:
    with written(tmp_path):
        pass
    path = tmp_path / FILE_NAME
    content = bytearray(path.read_bytes())
    content[-10] ^= 0xFF
    path.write_bytes(bytes(content))
    assert read_ledger(tmp_path).torn


def test_texts_are_numbered_once_and_come_back_in_order(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path) as ledger:
        ledger.header({})
        assert [ledger.text(word) for word in ("open", "closed", "open")] == [0, 1, 0]
        ledger.flush()
        assert ledger.text("ajar") == 2
    assert read_ledger(tmp_path).strings == ["open", "closed", "ajar"]


def test_flushing_empties_the_live_rows_and_writes_nothing_twice(tmp_path: Path) -> None:
    with written(tmp_path) as ledger:
        ledger.flush()
        assert ledger.rows == 0
        assert len(ledger.table("acks")) == 0
        size = (tmp_path / FILE_NAME).stat().st_size
        ledger.flush()
        assert (tmp_path / FILE_NAME).stat().st_size == size


def test_a_run_never_writes_over_another(tmp_path: Path) -> None:
    with written(tmp_path):
        pass
    with pytest.raises(FileExistsError):
        LedgerWriter(tmp_path)


def test_no_ledger_there_is_said_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnreadable, match=str(tmp_path)):
        read_ledger(tmp_path)


def test_too_many_metrics_are_refused(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path) as ledger, pytest.raises(ValueError, match="63"):
        ledger.group("wide", [f"m{i}" for i in range(64)])
