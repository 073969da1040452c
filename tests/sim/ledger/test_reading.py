"""What was written comes back, up to where a file is torn or damaged."""

import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import zstandard

from fleet_sim.ledger.reading import LedgerUnreadable, read_ledger
from fleet_sim.ledger.writing import FILE_NAME
from tests.sim.ledger.written import written


def test_a_ledger_reads_back_what_was_written(tmp_path: Path) -> None:
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
def test_a_torn_last_frame_is_left_out_and_reported(tmp_path: Path, cut: int) -> None:
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


def test_a_missing_ledger_is_an_error_that_names_the_directory(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnreadable, match=str(tmp_path)):
        read_ledger(tmp_path)


def test_zeros_that_a_crash_left_for_a_tail_are_left_out(tmp_path: Path) -> None:
    with written(tmp_path):
        pass
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes() + bytes(4096))
    found = read_ledger(tmp_path)
    assert found.torn
    assert found.groups[0].table["seq"].tolist() == [0, 1, 2]


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "little") + zlib.crc32(body).to_bytes(4, "little") + body


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a ledger of format 1"),
        (b"hello", "not a ledger of format 1"),
        (bytes(64), "not a ledger of format 1"),
        (frame(b"hello"), "not what `fleet-sim run` of this version writes"),
        (frame(zstandard.compress(b"\xc1")), "not what `fleet-sim run` of this version writes"),
        (frame(zstandard.compress(b"\x80")), "not what `fleet-sim run` of this version writes"),
        (frame(zstandard.compress(b"\x01")), "not what `fleet-sim run` of this version writes"),
    ],
    ids=["empty", "text", "zeros", "not compressed", "not msgpack", "a map without a kind", "a number"],
)
def test_a_file_that_is_no_ledger_is_said_with_its_place(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(LedgerUnreadable) as failed:
        read_ledger(tmp_path)
    assert str(failed.value).startswith(f"{tmp_path / FILE_NAME}: {said}")


def test_a_ledger_that_cannot_be_read_is_said_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(LedgerUnreadable, match=f"cannot read {tmp_path / FILE_NAME}: Is a directory; give a"):
        read_ledger(tmp_path)
    with pytest.raises(LedgerUnreadable, match=r"no ledger\.frames there; give the directory that"):
        read_ledger(Path("/dev/null"))


def test_a_run_that_goes_on_is_told_from_one_that_was_killed(tmp_path: Path) -> None:
    with written(tmp_path) as ledger:
        ledger.flush()
        going = read_ledger(tmp_path)
        assert (going.running, going.end) == (True, None)
        assert len(going.groups[0].table) == 3, "what it has written is read"
    killed = read_ledger(tmp_path)
    assert (killed.running, killed.end) == (False, None)


def test_a_run_that_has_written_its_end_runs_no_more(tmp_path: Path) -> None:
    with written(tmp_path) as ledger:
        ledger.end("finished", {"at": 1})
        assert not read_ledger(tmp_path).running


def test_the_run_of_a_process_that_is_gone_runs_no_more(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from fleet_sim.ledger.writing import LedgerWriter\n"
        "ledger = LedgerWriter(Path(sys.argv[1])); ledger.header({'format': 1}); print('begun', flush=True)\n"
        "time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            assert read_ledger(tmp_path).running
        finally:
            process.kill()
    assert not read_ledger(tmp_path).running
