import errno
from pathlib import Path

import numpy as np
import pytest

from edge_gateway.durable.checkpoint import read_latest, set_aside_unreadable, write_checkpoint
from tests.gateway.durable.faulty_files import FaultyFiles


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
