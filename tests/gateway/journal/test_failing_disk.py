"""A journal on a disk that fails: what is written again, removed later, salvaged, lost and reported."""

import errno
from pathlib import Path

import pytest

from edge_gateway.journal.files import Files
from edge_gateway.journal.framing import scan
from edge_gateway.journal.segments import Journal
from tests.fakes import FaultyFiles
from tests.gateway.journal.numbered import body, fill, records, segments


@pytest.mark.parametrize("step", ["unlink", "sync_directory"])
def test_a_removal_that_the_disk_refuses_leaves_no_gap(tmp_path: Path, step: str) -> None:
    fill(tmp_path, [[1], [2], [3], [4]], segment_bytes=1)
    files = FaultyFiles()
    journal = Journal.open(tmp_path, segment_bytes=1, files=files)
    files.fail[step] = [errno.EIO]
    with pytest.raises(OSError, match="EIO"):
        journal.unlink_before(4)
    left = {"unlink": [1, 2, 3, 4], "sync_directory": [2, 3, 4]}[step]
    assert records(journal) == left
    assert journal.unlink_before(3) > 0
    journal.close()
    again = Journal.open(tmp_path)
    assert (records(again), again.report.lost) == ([3, 4], ())


def test_a_removal_is_durable_before_the_next(tmp_path: Path) -> None:
    fill(tmp_path, [[1], [2], [3], [4]], segment_bytes=1)
    files = FaultyFiles()
    journal = Journal.open(tmp_path, segment_bytes=1, files=files)
    files.steps.clear()
    files.fail["sync_directory"] = [errno.EIO]
    with pytest.raises(OSError, match="EIO"):
        journal.unlink_before(2)
    assert journal.drop_oldest() == (2, 2)
    assert journal.drop_oldest() == (3, 3)
    assert files.steps == ["unlink", *["sync_directory"] * 2, "unlink", "sync_directory", "unlink"]


def test_a_segment_that_cannot_be_dropped_is_not_counted_as_dropped(tmp_path: Path) -> None:
    fill(tmp_path, [[1], [2]], segment_bytes=1)
    files = FaultyFiles()
    journal = Journal.open(tmp_path, segment_bytes=1, files=files)
    files.fail["unlink"] = [errno.EIO]
    with pytest.raises(OSError, match="EIO"):
        journal.drop_oldest()
    assert (journal.dropped_records, records(journal)) == (0, [1, 2])


@pytest.mark.parametrize("step", ["write", "datasync", "create", "sync_directory"])
@pytest.mark.parametrize("partial", [0, 30, 70])
def test_a_failed_group_is_written_again_to_a_new_segment(tmp_path: Path, step: str, partial: int) -> None:
    files = FaultyFiles()
    journal = Journal.open(tmp_path, files=files)
    if step in {"write", "datasync"}:
        journal.append(1, body(1))
        journal.sync()
    files.partial = partial
    files.fail[step] = [errno.ENOSPC, errno.EIO]
    for number in (2, 3):
        journal.append(number, body(number))
    for _ in range(2):
        with pytest.raises(OSError, match=r"EIO|ENOSPC"):
            journal.sync()
    journal.sync()
    expected = [1, 2, 3] if step in {"write", "datasync"} else [2, 3]
    assert records(journal) == expected
    reopened = Journal.open(tmp_path)
    assert records(reopened) == expected
    assert reopened.report == Journal.open(tmp_path).report
    assert reopened.report.lost == ()


def test_leftovers_of_a_failed_sync_that_could_not_be_cut_are_superseded(tmp_path: Path) -> None:
    files = FaultyFiles()
    journal = Journal.open(tmp_path, files=files)
    journal.append(1, body(1))
    journal.sync()
    files.fail = {"datasync": [errno.EIO], "truncate": [errno.EIO]}
    journal.append(2, body(2))
    with pytest.raises(OSError, match="EIO"):
        journal.sync()
    journal.sync()
    old, new = segments(tmp_path)
    assert [f.number for f in scan(old.read_bytes()).frames] == [1, 2]
    assert [f.number for f in scan(new.read_bytes()).frames] == [2]
    assert records(journal) == [1, 2]
    assert records(Journal.open(tmp_path)) == [1, 2]


@pytest.mark.parametrize("step", ["create", "write", "sync", "rename", "sync_directory"])
def test_a_repair_that_fails_half_way_is_done_again_at_the_next_open(tmp_path: Path, step: str) -> None:
    fill(tmp_path, [[1], [2], [3]])
    path = segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[scan(bytes(data)).frames[1].start] ^= 1
    path.write_bytes(data)
    for successes in range(2):
        files = FaultyFiles()
        files.fail[step] = [None] * successes + [errno.EIO]
        try:
            Journal.open(tmp_path, files=files)
        except OSError:
            continue
    assert records(Journal.open(tmp_path)) == [1, 3]


def test_a_segment_that_cannot_be_read_loses_its_records_and_no_others(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, segment_bytes=1)
    for number in (1, 2, 3):
        journal.append(number, b"body")
        journal.sync()
    journal.close()

    class Unreadable(Files):
        def read(self, path: Path) -> bytes:
            if path.name.startswith(f"{2:020d}"):
                raise OSError(errno.EIO, "Input/output error")
            return super().read(path)

    journal = Journal.open(tmp_path, files=Unreadable(), at=5)
    assert journal.report.lost == ((2, 2),)
    assert len(journal.report.set_aside) == 1
    assert [number for number, _ in Journal.open(tmp_path).read()] == [1, 3]


class Unreadable(Files):
    """Files of which the disk does not give some."""

    def __init__(self, *bad: Path) -> None:
        self.bad = bad

    def read(self, path: Path) -> bytes:
        if path in self.bad:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(path)


@pytest.mark.parametrize("bad", [[0], [1], [2], [3], [2, 3], [0, 1, 2, 3]])
def test_a_segment_that_cannot_be_read_is_set_aside_and_its_records_are_lost(
    tmp_path: Path, bad: list[int]
) -> None:
    fill(tmp_path, [[1, 2], [3], [4, 5], [6]], segment_bytes=1)
    files = segments(tmp_path)
    kept = [path.read_bytes() for path in files]
    journal = Journal.open(tmp_path, files=Unreadable(*(files[number] for number in bad)), at=7)
    aside = [files[number].with_name(f"{files[number].name}.corrupt-7") for number in bad]
    assert [path.read_bytes() for path in aside] == [kept[number] for number in bad], "nothing is deleted"
    assert journal.report.set_aside == tuple(path.name for path in aside)
    assert journal.report.lost
    held = {0: [1, 2], 1: [3], 2: [4, 5], 3: [6]}
    assert records(journal) == [one for number, own in held.items() if number not in bad for one in own]


class Clumsy(Files):
    """Fails to write, to close and to unlink."""

    clumsy = False

    def write(self, handle: int, data: bytes) -> None:
        if self.clumsy:
            raise OSError(errno.EIO, "write")
        super().write(handle, data)

    def close(self, handle: int) -> None:
        super().close(handle)
        if self.clumsy:
            raise OSError(errno.EIO, "close")

    def unlink(self, path: Path) -> None:
        if self.clumsy:
            raise OSError(errno.EIO, "unlink")
        super().unlink(path)


def test_an_empty_segment_that_cannot_be_closed_or_removed_does_no_harm(tmp_path: Path) -> None:
    files = Clumsy()
    journal = Journal.open(tmp_path, files=files)
    journal.append(1, b"x")
    files.clumsy = True
    with pytest.raises(OSError, match="write"):
        journal.sync()
    files.clumsy = False
    journal.sync()
    assert len(list(tmp_path.iterdir())) == 2
    assert list(journal.read()) == [(1, b"x")]
    journal.close()
    again = Journal.open(tmp_path)
    assert (list(again.read()), again.report.lost) == ([(1, b"x")], ())
