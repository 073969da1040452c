"""What `edge-gateway spool` reads from a spool: sound, damaged, incomplete, or empty."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edge_gateway import spool_contents
from edge_gateway.errors import BadInput, OtherSpool
from edge_gateway.journal import checkpoint, framing, spool
from edge_gateway.journal.checkpoint import write_checkpoint
from edge_gateway.journal.segments import Journal
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Moment
from edge_gateway.records.store_effects import ClosedWindows, StoreEffects
from edge_gateway.store import schema
from tests.gateway.store.fleet import MINUTE, T0, closed
from tests.gateway.store.stored import opened, rich

RECORDS = 6


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A spool with a checkpoint after record 3 and a store that has all six records."""
    journal = Journal.open(tmp_path / spool.JOURNAL)
    store = opened(tmp_path)
    for number in range(1, RECORDS + 1):
        batch = Batch(Moment(T0 + number, 0), ["topic"], [b"payload %d" % number])
        journal.append(number, codec.encode({"inputs": [batch], "effects": []}))
        journal.sync()
        windows: tuple[ClosedWindows, ...] = (closed(0, [(1, T0 + (number + 100) * MINUTE, 1.0)]),)
        if number == RECORDS:  # enough for a block
            many = [(s, T0 + (200 + minute) * MINUTE, 1.0) for s in range(5) for minute in range(20)]
            windows = (*windows, closed(0, many))
        store.apply([(number, [rich(number), StoreEffects(T0, windows=windows)])])
    journal.close()
    store.close()
    write_checkpoint(tmp_path / spool.CHECKPOINTS, 3, {"wall": T0})
    return tmp_path


def wrong(place: Path) -> dict[str, str]:
    return {check.check: check.detail for check in spool_contents.verify(place) if not check.ok}


def change(place: Path, statement: str) -> None:
    with sqlite3.connect(place / spool.STORE) as db:
        assert db.execute(statement).rowcount
    db.close()


def test_a_sound_spool_is_described_and_verified(place: Path) -> None:
    facts = spool_contents.contents(place)
    assert (facts["journal"]["first"], facts["journal"]["last"], facts["journal"]["records"]) == (1, 6, 6)
    assert (facts["checkpoints"]["newest"], facts["checkpoints"]["at"]) == (3, T0)
    assert (facts["store"]["applied"], facts["store"]["salvaging"], facts["attempts"]) == (6, False, 0)
    assert facts["store"]["rows"]["quarantine"] == RECORDS
    assert facts["store"]["outbox"]["influx"]["lines"] > 0
    assert facts["store"]["blocks"] == {"blocks": 1, "windows": 104}
    assert facts["set_aside"] == []
    assert wrong(place) == {}
    details = {check.check: check.detail for check in spool_contents.verify(place)}
    assert details["positions"] == "journal 1–6, checkpoint 3, store 6"
    assert details["journal records"] == "6 can be decoded"


@pytest.mark.parametrize(
    "statement", ["UPDATE series SET device = 'other' WHERE id = 1", "UPDATE number SET id = 2 WHERE id = 1"]
)
def test_a_name_that_is_not_what_was_stored_is_found(place: Path, statement: str) -> None:
    change(place, statement)
    assert wrong(place)["store names"].startswith("1 row with a checksum mismatch")


def test_messages_quarantine_and_lines_come_in_their_order(place: Path) -> None:
    messages = list(spool_contents.messages(place))
    assert [(row["record"], row["at"]) for row in messages] == [(n, T0 + n) for n in range(1, RECORDS + 1)]
    assert [row["reason"] for row in spool_contents.quarantined(place)] == ["bad"] * RECORDS
    lines = [row["line"] for row in spool_contents.waiting_lines(place)]
    assert len(lines) == spool_contents.contents(place)["store"]["outbox"]["influx"]["lines"]
    assert all(" " in line for line in lines)


def test_files_set_aside_are_listed_with_their_size(place: Path) -> None:
    (place / "journal" / "x.journal.corrupt-17").write_bytes(b"123")
    (place / "journal" / "x.corrupt-note").write_bytes(b"123")
    assert spool_contents.contents(place)["set_aside"] == [{"name": "x.journal.corrupt-17", "bytes": 3}]


def test_a_lost_record_is_named(place: Path) -> None:
    (segment,) = (place / spool.JOURNAL).glob("*.journal")
    data = bytearray(segment.read_bytes())
    second = data.index(b"EGJ", 1)
    data[second + 40] ^= 1
    segment.write_bytes(data)
    found = wrong(place)
    assert found["journal"] == "records lost: 2; what they contained is gone"
    assert found[f"journal {segment.name}"] == f"5 records; the damage begins at byte {second:,}"
    assert spool_contents.contents(place)["journal"]["segments"][0]["damaged_at"] == second


def test_a_damaged_last_record_is_told_from_a_write_that_never_finished(place: Path) -> None:
    (segment,) = (place / spool.JOURNAL).glob("*.journal")
    whole = segment.read_bytes()
    last = whole.rindex(b"EGJ")
    segment.write_bytes(whole[: last + 50] + bytes([whole[last + 50] ^ 1]) + whole[last + 51 :])
    found = wrong(place)
    assert found["journal"] == "records lost: 6; what they contained is gone"
    assert found[f"journal {segment.name}"] == f"5 records; the damage begins at byte {last:,}"


def test_a_segment_that_lacks_records_between_sound_ones_says_so(place: Path) -> None:
    (segment,) = (place / spool.JOURNAL).glob("*.journal")
    whole = segment.read_bytes()
    second = whole.index(b"EGJ", 1)
    third = whole.index(b"EGJ", second + 1)
    segment.write_bytes(whole[:second] + whole[third:])
    assert wrong(place)[f"journal {segment.name}"] == "5 records; others between them are missing"


def test_what_a_kill_leaves_is_no_damage_unless_the_store_has_it(place: Path) -> None:
    (segment,) = (place / spool.JOURNAL).glob("*.journal")
    whole = segment.read_bytes()
    segment.write_bytes(whole + whole[whole.rindex(b"EGJ") :][:60])
    details = {check.check: check for check in spool_contents.verify(place)}
    assert details["journal end"].ok
    assert details["journal end"].detail.startswith(
        "60 B behind record 6 cannot be read: most likely a write that"
    )
    segment.write_bytes(whole[: whole.rindex(b"EGJ") + 60])
    assert wrong(place)["journal end"] == (
        "60 B behind record 5 cannot be read: they are damaged, since checkpoint or store have record 6"
    )


def test_a_record_that_cannot_be_decoded_is_told(place: Path) -> None:
    journal = Journal.open(place / spool.JOURNAL)
    journal.append(7, b"no record")
    journal.sync()
    journal.close()
    assert set(wrong(place)) == {"journal records"}
    with pytest.raises(BadInput, match="record 7 of the journal cannot be decoded"):
        list(spool_contents.messages(place))


def test_damaged_checkpoints_are_told_apart_from_sound_ones(place: Path) -> None:
    write_checkpoint(place / spool.CHECKPOINTS, 5, {"wall": T0})
    newest = max((place / spool.CHECKPOINTS).glob("checkpoint-*"))
    newest.write_bytes(newest.read_bytes()[:-1])
    assert wrong(place) == {f"checkpoint {newest.name}": spool_contents.BAD_CHECKPOINT}


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("UPDATE window SET row = X'00' WHERE tier=1", "store window"),
        ("UPDATE state_window SET row = 7", "store state_window"),
        ("UPDATE block_body SET body = X'00'", "store blocks"),
        ("UPDATE block SET corrected = NULL", "store blocks"),
        ("DELETE FROM block_body", "store blocks"),
        ("UPDATE outbox SET body = X'00'", "store outbox"),
    ],
)
def test_rows_that_are_not_what_was_stored_are_counted(place: Path, statement: str, check: str) -> None:
    change(place, statement)
    ((found, detail),) = wrong(place).items()
    assert found == check
    assert detail[0].isdigit()
    assert detail.endswith(spool_contents.MENDS)


def test_a_store_that_is_no_database_is_told_and_cannot_be_exported(place: Path) -> None:
    for path in place.glob("store.sqlite*"):
        path.unlink()
    (place / spool.STORE).write_bytes(b"garbage" * 1000)
    assert "not a database" in spool_contents.contents(place)["store"]["damage"]
    assert "not a database" in wrong(place)["store"]
    for read in (spool_contents.quarantined, spool_contents.waiting_lines):
        with pytest.raises(BadInput, match="the store cannot be read: file is not a database"):
            list(read(place))


def test_without_a_store_there_is_nothing_to_export(place: Path) -> None:
    for path in place.glob("store.sqlite*"):
        path.unlink()
    assert spool_contents.contents(place)["store"] == {"bytes": 0}
    assert "missing" in wrong(place)["store"]
    with pytest.raises(BadInput, match="the store cannot be read: unable to open"):
        list(spool_contents.waiting_lines(place))


def test_damaged_lines_are_not_exported_in_part(place: Path) -> None:
    change(place, "UPDATE outbox SET body = X'00' WHERE id=(SELECT MAX(id) FROM outbox)")
    with pytest.raises(BadInput, match="the store cannot be read: "):
        list(spool_contents.waiting_lines(place))


def later_journal(place: Path) -> None:
    (segment,) = (place / spool.JOURNAL).glob("*.journal")
    segment.unlink()
    journal = Journal.open(place / spool.JOURNAL)
    journal.append(6, codec.encode({"inputs": [], "effects": []}))
    journal.sync()
    journal.close()


def no_checkpoint(place: Path) -> None:
    for path in (place / spool.CHECKPOINTS).iterdir():
        path.unlink()


def store_behind(place: Path) -> None:
    later_journal(place)
    write_checkpoint(place / spool.CHECKPOINTS, 5, {"wall": T0})
    change(place, "UPDATE meta SET value=4 WHERE key='applied'")


def store_ahead(place: Path) -> None:
    change(place, "UPDATE meta SET value=7 WHERE key='applied'")


@pytest.mark.parametrize("corrupt", [later_journal, store_behind, store_ahead])
def test_parts_that_leave_a_record_out_between_them_do_not_fit(
    place: Path, corrupt: Callable[[Path], Any]
) -> None:
    corrupt(place)
    assert set(wrong(place)) == {"positions"}


def test_the_positions_of_an_empty_journal_say_so(place: Path) -> None:
    for segment in (place / spool.JOURNAL).iterdir():
        segment.unlink()
    details = {check.check: check.detail for check in spool_contents.verify(place)}
    assert details["positions"] == "journal empty, checkpoint 3, store 6"


def test_without_a_checkpoint_the_journal_must_begin_at_the_first_record(place: Path) -> None:
    no_checkpoint(place)
    assert wrong(place) == {}
    later_journal(place)
    assert set(wrong(place)) == {"checkpoints", "positions"}


def test_an_empty_directory_is_described_without_an_error(tmp_path: Path) -> None:
    facts = spool_contents.contents(tmp_path)
    assert (facts["journal"]["records"], facts["journal"]["first"]) == (0, None)
    assert facts["checkpoints"] == {"files": [], "newest": None, "at": None}
    assert list(spool_contents.messages(tmp_path)) == []


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [(checkpoint, "FORMAT", 99), (framing, "MAGIC", b"EGJ\x63"), (schema, "VERSION", 99)],
)
def test_what_a_newer_program_wrote_is_not_called_damaged(
    tmp_path: Path, part: ModuleType, name: str, value: object
) -> None:
    with pytest.MonkeyPatch.context() as newer:
        newer.setattr(part, name, value)
        with closing(Journal.open(tmp_path / spool.JOURNAL)) as journal:
            journal.append(1, codec.encode({"inputs": [], "effects": []}))
            journal.sync()
        write_checkpoint(tmp_path / spool.CHECKPOINTS, 1, {"n": 1})
        opened(tmp_path).close()
    for read in (spool_contents.verify, spool_contents.contents):
        with pytest.raises(OtherSpool, match="newer"):
            read(tmp_path)


def test_an_older_store_is_not_called_damaged_by_what_is_read_of_it(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as older:
        older.setattr(schema, "VERSION", schema.VERSION - 1)
        opened(tmp_path).close()
    for read in (spool_contents.contents, spool_contents.quarantined, spool_contents.waiting_lines):
        with pytest.raises(OtherSpool, match="written by an older edge-gateway"):
            list(read(tmp_path))
