"""What a start makes of a spool: one begun, one with damaged or missing parts, one of another configuration."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.errors import BadInput
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.journal import spool
from edge_gateway.journal.checkpoint import write_checkpoint
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Moment
from edge_gateway.recovery.record import record_tree
from edge_gateway.recovery.settings import fold_settings
from edge_gateway.recovery.startup import Startup, recover_spool, store_settings
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.clock import BUILT, MachineClock
from edge_gateway.store.database import Store
from edge_gateway.store.schema import is_begun
from fleet_wire import topics
from fleet_wire.telemetry import encode_telemetry
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
        assert found.store.floor <= 0
    finally:
        found.journal.close()
        found.store.close()


def test_the_quarantine_of_a_small_spool_leaves_room_for_the_journal() -> None:
    config = GatewayConfig.model_validate(
        {"mqtt": {"url": "mqtt://127.0.0.1"}, "spool": {"max_bytes": "16MiB"}}
    )
    assert store_settings(config).quarantine_max_bytes == 4 << 20


def test_a_store_that_cannot_be_read_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    assert not is_begun(tmp_path / "none")
    (tmp_path / "damaged").write_bytes(b"no database at all" * 300)
    assert is_begun(tmp_path / "damaged")


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


# --- a spool whose parts do not fit together


class Life:
    """A gateway's spool: records of one reading each, folded and journaled; the store is left as it was."""

    def __init__(self, place: Path, **sections: Any) -> None:
        self.place = place
        self.config = GatewayConfig.model_validate({
            "version": 1,
            "mqtt": {"url": "mqtt://127.0.0.1"},
            "spool": {"path": str(place)},
            "windows": [{"every": "5s", "bucket": "a", "keep": "30d"}],
            "time": {"allowed_lateness": "1s"},
            **sections,
        })  # fmt: skip

    def opened(self, **sections: Any) -> Startup:
        config = Life(self.place, **sections).config if sections else self.config
        self.place.mkdir(exist_ok=True)
        return recover_spool(self.place, config, "gw", MachineClock())

    @contextmanager
    def living(self, **sections: Any) -> Iterator[Startup]:
        found = self.opened(**sections)
        try:
            yield found
        finally:
            found.journal.close()
            found.store.close()

    def record(self, found: Startup, number: int, *names: str) -> None:
        """Fold a reading of each device and journal the record."""
        at = START + number * 10_000
        topic = [topics.device_topic("s", name, topics.TELEMETRY) for name in names or ("d",)]
        payload = [encode_telemetry(1, number, at, {"heat": float(number)}) for _ in topic]
        given = Batch(Moment(at, number * 10_000), topic, payload)
        made = found.state.pipeline.fold(given, number=number)
        record = record_tree([given], [made.closings], [made.for_store(found.names)])
        found.journal.append(number, codec.encode(record))
        found.journal.sync()

    def checkpoint(self, found: Startup, number: int) -> None:
        write_checkpoint(self.place / spool.CHECKPOINTS, number, found.state.snapshot())


START = BUILT + 10_000_000_000
RECORDS = 6


@pytest.fixture
def life(tmp_path: Path) -> Life:
    """A spool with six records in the journal, none of them in a checkpoint or in the store."""
    life = Life(tmp_path / "spool")
    with life.living() as found:
        for number in range(1, RECORDS + 1):
            life.record(found, number)
    return life


def windows(found: Startup) -> int:
    """Count the windows in the store."""
    found.store.sync()
    with closing(sqlite3.connect(found.store.path)) as db:
        return int(db.execute("SELECT COUNT(*) FROM window").fetchone()[0])


def new(found: Startup) -> int:
    return int(found.state.pipeline.admission.accounting.totals()["new"])


def test_records_after_the_checkpoint_are_folded_and_stored(life: Life) -> None:
    with life.living() as found:
        assert (found.number, found.whole, found.findings) == (RECORDS, True, [])
        assert (new(found), windows(found)) == (RECORDS, RECORDS - 1)
    with life.living() as found:
        assert (found.number, new(found), windows(found)) == (RECORDS, RECORDS, RECORDS - 1), "once"


def test_a_store_that_is_gone_is_filled_from_the_journal(life: Life) -> None:
    with life.living() as found:
        path = found.store.path
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    with life.living() as found:
        assert found.findings == [
            (
                Problem.STORE_CORRUPT,
                f"{path} was missing: the history is lost but for what the journal still held",
            )
        ]
        assert (found.whole, windows(found)) == (True, RECORDS - 1)


@pytest.mark.parametrize(("left", "said"), [(b"", "is empty"), (b"x", "ends after 1 byte")])
def test_a_store_that_was_emptied_is_set_aside_and_filled_from_the_journal(
    life: Life, left: bytes, said: str
) -> None:
    with life.living() as found:
        path = found.store.path
    path.write_bytes(left)
    path.with_name("store.sqlite-wal").write_bytes(b"what the store wrote last")
    with life.living() as found:
        ((problem, text),) = found.findings
        assert problem is Problem.STORE_CORRUPT
        assert text.startswith(f"{path}: the file {said}; set aside as {path}.corrupt-")
        while not (told := found.store.salvage()):
            pass
        assert told.startswith(f"nothing of {path}.corrupt-")
        assert (found.whole, windows(found)) == (True, RECORDS - 1)
    aside, log = sorted(life.place.glob("store.sqlite.corrupt-*"))
    assert (aside.read_bytes(), log.read_bytes()) == (left, b"what the store wrote last")


def test_a_store_behind_the_checkpoint_catches_up_from_the_journal(life: Life) -> None:
    with life.living() as found:
        life.checkpoint(found, RECORDS)
        path = found.store.path
    older = path.read_bytes()
    with life.living() as found:
        for number in (RECORDS + 1, RECORDS + 2):
            life.record(found, number)
        life.checkpoint(found, RECORDS + 2)
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    path.write_bytes(older)
    with life.living() as found:
        assert (found.number, found.findings) == (RECORDS + 2, [])
        assert (new(found), windows(found)) == (RECORDS + 2, RECORDS + 1)


def test_a_store_behind_what_the_journal_still_has_is_reported(life: Life) -> None:
    with life.living() as found:
        life.checkpoint(found, RECORDS + 3)
    for segment in (life.place / spool.JOURNAL).glob("*.journal"):
        segment.unlink()
    with life.living() as found:
        assert [problem for problem, _ in found.findings] == [Problem.STORE_BEHIND]


def test_a_store_ahead_of_the_journal_tells_of_lost_records(life: Life) -> None:
    with life.living() as found:
        found.store.apply([(RECORDS + 2, [])])
    with life.living() as found:
        assert (found.number, found.whole) == (RECORDS + 2, False), "no number is given twice"
        assert found.findings == [
            (
                Problem.RECORDS_LOST,
                f"{life.place / spool.JOURNAL} ends before record {RECORDS + 2}, which the store has",
            )
        ]


def test_after_a_segment_was_removed_later_starts_leave_the_older_ones_alone(life: Life) -> None:
    with life.living() as found:
        number = RECORDS + 1
        life.record(found, number)
        found.store.apply([(number, [])])
    journal = life.place / spool.JOURNAL
    older, newest = sorted(journal.glob("*.journal"))
    newest.unlink()
    with life.living() as found:
        assert [problem for problem, _ in found.findings] == [Problem.RECORDS_LOST]
        life.record(found, number + 1)
    with life.living() as found:
        assert (found.number, found.findings) == (number + 1, [])
    assert older.exists()
    assert not list(journal.glob("*.corrupt-*"))


def refusing(monkeypatch: pytest.MonkeyPatch, record: int, error: Exception) -> None:
    """Let the store fail once, at a record."""
    apply, errors = Store.apply, [error]

    def applied(store: Store, records: Any) -> None:
        if records[0][0] == record and errors:
            raise errors.pop()
        apply(store, records)

    monkeypatch.setattr(Store, "apply", applied)


def sqlite_error(code: int, text: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(text)
    error.sqlite_errorcode = code
    return error


def test_a_store_that_proves_damaged_during_recovery_is_set_aside_and_filled_again(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage = sqlite_error(sqlite3.SQLITE_CORRUPT, "database disk image is malformed")
    refusing(monkeypatch, 4, damage)
    with life.living() as found:
        ((problem, text),) = found.findings
        assert problem is Problem.STORE_CORRUPT
        path = found.store.path
        assert text.startswith(f"{path}: database disk image is malformed; set aside as {path}.corrupt-")
        assert (found.number, windows(found)) == (RECORDS, RECORDS - 1)


def test_a_record_that_the_store_cannot_apply_is_skipped_and_logged(
    life: Life, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refusing(monkeypatch, 4, OverflowError("too large"))
    with life.living() as found:
        assert (found.number, new(found)) == (RECORDS, RECORDS)
        assert windows(found) == RECORDS - 2, "the one that record 4 closes"
    assert "record 4: OverflowError: too large" in caplog.messages


def test_a_store_that_cannot_be_written_now_ends_the_start_and_the_next_one_is_whole(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(monkeypatch, 4, sqlite_error(sqlite3.SQLITE_FULL, "database or disk is full"))
    with pytest.raises(sqlite3.DatabaseError, match="disk is full"):
        life.opened()
    with life.living() as found:
        assert (found.whole, found.findings, windows(found)) == (True, [], RECORDS - 1)


@pytest.mark.parametrize("devices", [["d"], ["a", "b", "bad", "c", "d"]])
def test_a_message_that_cannot_be_folded_is_found_and_quarantined(
    life: Life, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, devices: list[str]
) -> None:
    with life.living() as found:
        life.record(found, RECORDS + 1, *devices)
    fold = Pipeline.fold
    bad = topics.device_topic("s", "bad", topics.TELEMETRY)

    def folded(pipeline: Pipeline, given: Any, recorded: Any = None, *, number: int = 0) -> Any:
        if isinstance(given, Batch) and bad in given.topics:
            raise LookupError("a defect")
        return fold(pipeline, given, recorded, number=number)

    monkeypatch.setattr(Pipeline, "fold", folded)
    with life.living() as found:
        expected = [(Problem.RECORDS_QUARANTINED, "1 input")] if "bad" in devices else []
        assert found.findings == expected
        assert (found.number, new(found)) == (RECORDS + 1, RECORDS + len(devices) - len(expected))
        assert dict(found.store.quarantine_users(5)).keys() == ({"bad"} if expected else set())
    if expected:
        assert "start-up failed with LookupError: a defect; trying again" in caplog.messages
        assert f"record {RECORDS + 1}: an input cannot be folded and goes to quarantine" in caplog.text


# --- another configuration


def test_windows_of_another_length_are_refused_and_nothing_is_changed(life: Life) -> None:
    other = [{"every": "10s", "bucket": "a", "keep": "30d"}]
    with pytest.raises(BadInput, match="was begun with windows of 5s, but the configuration says 10s"):
        life.opened(windows=other)
    with life.living() as found:
        assert (found.number, new(found)) == (RECORDS, RECORDS)


def test_other_sites_take_over_the_state_and_check_every_device_again(life: Life) -> None:
    with life.living(gateway={"sites": ["elsewhere"]}) as found:
        assert (
            found.state.settings.sites
            == fold_settings(Life(life.place, gateway={"sites": ["elsewhere"]}).config).sites
        )
        assert new(found) == RECORDS
        life.record(found, RECORDS + 1)
        assert new(found) == RECORDS, "its site is foreign now"
