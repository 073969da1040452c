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
"""Readings, alerts and outbox lines belong to the fleet's owner: the group may read them, other accounts may not."""
UMASK: Final = 0o027
"""For every process that works on a spool: SQLite's -shm file and the embedded broker's files follow it."""


class Files:
    """The real file system. Every method may raise the operating system's OSError."""

    def create(self, path: Path) -> int:
        """Create a new file for writing and return its handle; FileExistsError if it exists."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)

    def reopen(self, path: Path) -> int:
        """Open an existing file for writing without truncating it."""
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC)

    def write(self, handle: int, data: bytes) -> None:
        """Write all of `data` at the handle's position; after an error, part of it may have been written."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]

    def seek(self, handle: int, at: int) -> None:
        """Let the next write go to byte `at`."""
        os.lseek(handle, at, os.SEEK_SET)

    def datasync(self, handle: int) -> None:
        """Make the content durable, and only the metadata needed to read it back (fdatasync)."""
        os.fdatasync(handle)

    def sync(self, handle: int) -> None:
        os.fsync(handle)

    def truncate(self, handle: int, size: int) -> None:
        os.ftruncate(handle, size)

    def close(self, handle: int) -> None:
        os.close(handle)

    def rename(self, source: Path, target: Path) -> None:
        """Rename atomically, replacing `target`. Durable only after `sync_directory`."""
        source.replace(target)

    def unlink(self, path: Path) -> None:
        """Remove a file if it exists. Durable only after `sync_directory`."""
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
        """Make a directory and its parents where they are missing; their names are durable on return.

        Otherwise a power cut could remove a whole directory of synced files. A parent without read permission cannot
        be synced; its entries become durable with the file system's next sync.
        """
        if not path.parent.is_dir():
            self.make_directory(path.parent)
        path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        with suppress(PermissionError):
            self.sync_directory(path.parent)

    def free_bytes(self, path: Path) -> int:
        """Bytes an unprivileged user may still write to the file system of `path`."""
        facts = os.statvfs(path)
        return facts.f_bavail * facts.f_frsize


FILES = Files()


def write_whole(files: Files, path: Path, data: bytes) -> None:
    """Replace `path` by `data` atomically and durably: temporary file, sync, rename, sync of the directory."""
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
    """Whether an error from a file or from SQLite means that the disk or a quota is full."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
