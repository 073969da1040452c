"""The file operations that durability rests on."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from edge_gateway.journal.files import FILES, Files, is_full, write_whole
from tests.fakes import FaultyFiles


def test_a_file_is_made_once_written_cut_renamed_and_removed(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    handle = FILES.create(path)
    FILES.write(handle, b"12345")
    FILES.datasync(handle)
    FILES.truncate(handle, 3)
    FILES.sync(handle)
    FILES.close(handle)
    assert FILES.read(path) == b"123"
    assert path.stat().st_mode & 0o777 == 0o640
    with pytest.raises(FileExistsError):
        FILES.create(path)
    again = FILES.reopen(path)
    FILES.write(again, b"9")
    FILES.close(again)
    FILES.rename(path, other)
    assert FILES.names(tmp_path) == ["b"]
    assert FILES.read(other) == b"923"
    FILES.unlink(other)
    FILES.unlink(other)
    assert FILES.names(tmp_path) == []


def test_a_write_goes_where_it_is_told(tmp_path: Path) -> None:
    handle = FILES.create(tmp_path / "a")
    FILES.write(handle, b"1234")
    FILES.seek(handle, 1)
    FILES.write(handle, b"9")
    FILES.close(handle)
    assert FILES.read(tmp_path / "a") == b"1934"


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:3]))
    handle = FILES.create(tmp_path / "a")
    FILES.write(handle, b"1234567")
    FILES.close(handle)
    assert FILES.read(tmp_path / "a") == b"1234567"


class Noting(Files):
    """Notes which directories were synced."""

    def __init__(self) -> None:
        self.synced: list[Path] = []

    def sync_directory(self, path: Path) -> None:
        self.synced.append(path)
        if path.name == "locked":
            raise PermissionError(errno.EACCES, "denied")
        super().sync_directory(path)


def test_a_directory_is_made_with_its_parents_and_every_name_is_synced(tmp_path: Path) -> None:
    files = Noting()
    files.make_directory(tmp_path / "one" / "two")
    assert files.synced == [tmp_path, tmp_path / "one"]
    files.make_directory(tmp_path / "one" / "two")
    assert files.synced[2:] == [tmp_path / "one"]
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o750


def test_a_parent_that_may_not_be_read_does_not_stop_the_making(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir()
    Noting().make_directory(tmp_path / "locked" / "spool")
    assert (tmp_path / "locked" / "spool").is_dir()


def test_free_bytes_are_those_of_the_file_system(tmp_path: Path) -> None:
    assert 0 < FILES.free_bytes(tmp_path) <= os.statvfs(tmp_path).f_bfree * os.statvfs(tmp_path).f_frsize


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "x.tmp").write_bytes(b"left by a crash")
    write_whole(FILES, tmp_path / "x", b"old")
    write_whole(FILES, tmp_path / "x", b"new")
    assert (FILES.names(tmp_path), FILES.read(tmp_path / "x")) == (["x"], b"new")


@pytest.mark.parametrize("step", ["create", "write", "sync"])
def test_a_replacement_that_fails_leaves_the_old_file_alone(tmp_path: Path, step: str) -> None:
    write_whole(FILES, tmp_path / "x", b"old")
    files = FaultyFiles()
    files.fail[step] = [errno.ENOSPC]
    with pytest.raises(OSError, match="ENOSPC"):
        write_whole(files, tmp_path / "x", b"new")
    assert (FILES.names(tmp_path), FILES.read(tmp_path / "x")) == (["x"], b"old")


def sqlite_error(code: int | None) -> sqlite3.Error:
    error = sqlite3.OperationalError("refused")
    if code is not None:
        error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, ""), True),
        (OSError(errno.EDQUOT, ""), True),
        (OSError(errno.EIO, ""), False),
        (sqlite_error(sqlite3.SQLITE_FULL), True),
        (sqlite_error(sqlite3.SQLITE_IOERR), False),
        (sqlite_error(None), False),
        (ValueError(), False),
    ],
)
def test_a_full_disk_is_told_from_other_errors(error: Exception, *, full: bool) -> None:
    assert is_full(error) == full
