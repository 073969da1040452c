import errno
from pathlib import Path

from edge_gateway.journal.files import Files
from edge_gateway.journal.reserve import Reserve
from tests.fakes import FaultyFiles

SIZE = 3 << 20


class SmallDisk(Files):
    """Reports so much free space."""

    def __init__(self, free: int) -> None:
        self.free = free

    def free_bytes(self, path: Path) -> int:
        assert path.is_dir()
        return self.free


def test_the_reserve_is_real_space_given_up_once_and_made_again(tmp_path: Path) -> None:
    path = tmp_path / "spool" / "reserve"
    reserve = Reserve(path, size=SIZE)
    assert reserve.make()
    assert path.stat().st_blocks * 512 >= SIZE
    assert reserve.release()
    assert not path.exists()
    assert not reserve.release()
    assert reserve.make()
    assert Reserve(path, size=SIZE).make(), "one that is there is taken over"
    assert path.stat().st_size == SIZE


def test_it_is_not_made_where_it_would_fill_the_disk_itself(tmp_path: Path) -> None:
    disk = SmallDisk(2 * SIZE - 1)
    reserve = Reserve(tmp_path / "reserve", size=SIZE, files=disk)
    assert not reserve.make()
    assert not (tmp_path / "reserve").exists()
    disk.free += 1
    assert reserve.make()


def test_a_disk_that_fills_meanwhile_gets_everything_back(tmp_path: Path) -> None:
    files = FaultyFiles()
    files.fail["sync_directory"] = [errno.ENOSPC]
    assert not Reserve(tmp_path / "reserve", size=SIZE, files=files).make()
    files.fail["write"] = [None, errno.ENOSPC]
    reserve = Reserve(tmp_path / "reserve", size=SIZE, files=files)
    assert not reserve.make()
    assert not (tmp_path / "reserve").exists()
    assert reserve.make()


class Stubborn(FaultyFiles):
    """Removes nothing when it is stubborn."""

    stubborn = False

    def unlink(self, path: Path) -> None:
        if self.stubborn:
            raise OSError(errno.EIO, "Input/output error")
        super().unlink(path)


def test_a_reserve_that_is_held_is_not_made_twice_and_one_that_cannot_be_removed_stays(
    tmp_path: Path,
) -> None:
    files = Stubborn()
    reserve = Reserve(tmp_path / "reserve", size=10, files=files)
    assert reserve.make(beside=0)
    steps = len(files.steps)
    assert reserve.make(beside=1 << 62)
    assert len(files.steps) == steps

    files.stubborn = True
    assert not reserve.release()
    assert reserve.held


def test_a_whole_reserve_of_the_start_before_is_taken_over_and_another_size_is_not(tmp_path: Path) -> None:
    (tmp_path / "reserve").write_bytes(bytes(10))
    assert Reserve(tmp_path / "reserve", size=10).make(beside=1 << 62)
    assert not Reserve(tmp_path / "reserve", size=11).make(beside=1 << 62)


def test_a_directory_that_cannot_be_made_is_no_reserve(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert not Reserve(tmp_path / "file" / "reserve", size=10).make()
