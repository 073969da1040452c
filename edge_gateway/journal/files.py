"""The file operations that durability rests on, in one place.

Everything that must survive a power cut goes through a `Files`, so that a proof can record the trace of
writes and syncs, cut it anywhere, or let any single step fail.
"""

import errno
import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

FILE_MODE: Final = 0o640
DIRECTORY_MODE: Final = 0o750
"""Readings, alerts and lines that wait are the fleet owner's: the group may read them, other accounts nothing."""
UMASK: Final = 0o027
"""For a process that works on a spool: SQLite's index and the embedded broker's files go by it."""


class Files:
    """The real file system. Errors are the operating system's own (`OSError`)."""

    def create(self, path: Path) -> int:
        """Make a new file for writing and return its handle; `FileExistsError` when it is there."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)

    def reopen(self, path: Path) -> int:
        """Open an existing file for writing, its content kept."""
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC)

    def write(self, handle: int, data: bytes) -> None:
        """Write all of `data` at the handle's position; after an error a part of it may be written."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]

    def datasync(self, handle: int) -> None:
        """Make the content durable, and of the metadata only what reading it back needs."""
        os.fdatasync(handle)

    def sync(self, handle: int) -> None:
        os.fsync(handle)

    def truncate(self, handle: int, size: int) -> None:
        os.ftruncate(handle, size)

    def close(self, handle: int) -> None:
        os.close(handle)

    def rename(self, source: Path, target: Path) -> None:
        """Atomic; replaces `target`. Durable only after `sync_directory`."""
        source.replace(target)

    def unlink(self, path: Path) -> None:
        """Durable only after `sync_directory`; a file that is gone already is no error."""
        path.unlink(missing_ok=True)

    def sync_directory(self, path: Path) -> None:
        """Make creations, renames and removals in this directory durable."""
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def names(self, directory: Path) -> list[str]:
        """File names in a directory, sorted."""
        return sorted(entry.name for entry in directory.iterdir())

    def make_directory(self, path: Path) -> None:
        """Make a directory, with its parents, where it is missing; its name is durable when this returns.

        Without that a power cut could take away a whole directory of synced files. A parent that may be entered and
        not read cannot be synced; its names become durable with the next sync of the file system.
        """
        if not path.parent.is_dir():
            self.make_directory(path.parent)
        path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        with suppress(PermissionError):
            self.sync_directory(path.parent)

    def free_bytes(self, path: Path) -> int:
        """Bytes an ordinary user may still write on the file system of `path`."""
        facts = os.statvfs(path)
        return facts.f_bavail * facts.f_frsize


FILES = Files()


def write_whole(files: Files, path: Path, data: bytes) -> None:
    """Put `data` at `path` atomically and durably: temporary file, sync, rename, sync of the directory."""
    temporary = path.with_name(path.name + ".tmp")
    files.unlink(temporary)
    handle = files.create(temporary)
    try:
        files.write(handle, data)
        files.sync(handle)
    except OSError:
        files.close(handle)
        files.unlink(temporary)
        raise
    files.close(handle)
    files.rename(temporary, path)
    files.sync_directory(path.parent)


def is_full(error: Exception) -> bool:
    """Whether an error of a file or of SQLite says that there is no room."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
