import errno
from pathlib import Path

import numpy as np
import pytest

from edge_gateway.errors import OtherSpool
from edge_gateway.journal import checkpoint
from edge_gateway.journal.checkpoint import read_latest, refuse_other, set_aside_unreadable, write_checkpoint
from tests.fakes import FaultyFiles


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_the_newest_is_read_back_and_one_older_is_kept(tmp_path: Path) -> None:
    for number in (3, 9, 20):
        lowest = write_checkpoint(tmp_path, number, {"n": number, "a": np.arange(number)})
    latest = read_latest(tmp_path)
    assert latest is not None
    assert (latest.number, latest.state["n"], latest.skipped) == (20, 20, ())
    assert latest.state["a"].tolist() == list(range(20))
    assert lowest == 9
    assert len(names(tmp_path)) == 2


def test_none_where_nothing_was_written(tmp_path: Path) -> None:
    assert read_latest(tmp_path) is None
    assert read_latest(tmp_path / "missing") is None


def test_every_cut_and_every_flipped_byte_falls_back_to_the_older_one(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 1, {"n": 1})
    write_checkpoint(tmp_path, 2, {"n": 2})
    newest = max(tmp_path.iterdir())
    sound = newest.read_bytes()
    damaged = [sound[:cut] for cut in range(len(sound))]
    damaged += [
        sound[:at] + bytes([sound[at] ^ 64]) + sound[at + 1 :]
        for at in range(len(sound))
        if at not in range(5, 8)
    ]
    for data in damaged:
        newest.write_bytes(data)
        latest = read_latest(tmp_path)
        assert latest is not None
        assert latest.state == {"n": 1}
        assert latest.skipped == (newest.name,)
    set_aside_unreadable(tmp_path, (newest.name,), 77)
    assert names(tmp_path) == ["checkpoint-00000000000000000001", f"{newest.name}.corrupt-77"]


@pytest.mark.parametrize(("by", "age"), [(1, "a newer"), (-1, "an older")])
def test_another_format_is_refused_and_nothing_is_touched(tmp_path: Path, by: int, age: str) -> None:
    write_checkpoint(tmp_path, 1, {"n": 1})
    with pytest.MonkeyPatch.context() as other:
        other.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + by)
        write_checkpoint(tmp_path, 2, {"n": 2})
    newest = max(tmp_path.iterdir())
    before = newest.read_bytes()
    with pytest.raises(
        OtherSpool, match=rf"{newest.name} .* {age} .* start that version again, or .* spool\.path"
    ):
        refuse_other(tmp_path)
    assert newest.read_bytes() == before


def test_checkpoints_of_this_format_are_not_refused_and_the_newest_intact_one_is_named(
    tmp_path: Path,
) -> None:
    assert refuse_other(tmp_path / "missing") == -1
    for number in (1, 2, 3):
        write_checkpoint(tmp_path, number, {"n": number})
    assert refuse_other(tmp_path) == 3
    newest = max(tmp_path.iterdir())
    newest.write_bytes(newest.read_bytes()[:-1])
    assert refuse_other(tmp_path) == 2


def test_a_flipped_bit_makes_no_other_format(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 1, {"n": 1})
    (path,) = tmp_path.iterdir()
    sound = path.read_bytes()
    for bit in range(8 * len(sound)):
        data = bytearray(sound)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        refuse_other(tmp_path)
        assert read_latest(tmp_path) is None
    path.write_bytes(b"EG")
    refuse_other(tmp_path)
    refuse_other(tmp_path / "missing")


def test_a_state_that_cannot_be_taken_over_gives_way_to_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_checkpoint(tmp_path, 1, {"n": 1})
    write_checkpoint(tmp_path, 2, {"m": 2})
    taken: list[int] = []
    found = read_latest(tmp_path, take=lambda state: taken.append(state["n"]))
    assert found is not None
    assert (found.number, found.skipped, taken) == (1, (f"checkpoint-{2:020d}",), [1])
    reason = "its state is not valid (KeyError: 'n'); an older one and the journal replace it"
    assert caplog.messages == [f"skipping checkpoint {tmp_path}/checkpoint-{2:020d}, {reason}"]


@pytest.mark.parametrize(("keep", "kept"), [(1, [3]), (2, [2, 3]), (3, [1, 2, 3]), (4, [1, 2, 3])])
def test_the_newest_files_stay_and_the_lowest_of_their_numbers_is_returned(
    tmp_path: Path, keep: int, kept: list[int]
) -> None:
    for number in (1, 2):
        write_checkpoint(tmp_path, number, {}, keep=9)
    assert write_checkpoint(tmp_path, 3, {}, keep=keep) == kept[0]
    assert names(tmp_path) == [f"checkpoint-{number:020d}" for number in kept]


@pytest.mark.parametrize("step", ["create", "write", "sync", "rename", "sync_directory", "unlink"])
def test_a_failed_write_leaves_the_older_checkpoint_readable(tmp_path: Path, step: str) -> None:
    write_checkpoint(tmp_path, 1, {"n": 1})
    files = FaultyFiles()
    files.fail[step] = [errno.ENOSPC]
    with pytest.raises(OSError, match="ENOSPC"):
        write_checkpoint(tmp_path, 2, {"n": 2}, files=files)
    latest = read_latest(tmp_path)
    assert latest is not None
    assert latest.state["n"] == (2 if step == "sync_directory" else 1)
    write_checkpoint(tmp_path, 3, {"n": 3})
    again = read_latest(tmp_path)
    assert again is not None
    assert again.number == 3
