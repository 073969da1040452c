"""Full disks: a small one that is really filled, and a model that is full from its n-th write on.

The model replaces the methods of `Files`, which writes everything durable except SQLite's files. The n-th call that may
need space fails, as with a quota or delayed allocation; after it, each write fails that does not fit into the space
freed since by removing or truncating files.
"""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, Final

from edge_gateway.journal.files import Files
from tests.proofs.proof import Unavailable

MIB: Final = 1 << 20
PLENTY: Final = 1 << 40
NEEDS_ROOM: Final = ("create", "write", "datasync", "sync", "sync_directory")


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """Mount a file system of that many bytes at `place`; Unavailable where mounting is not permitted."""
    place.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Unavailable(f"mounting a tmpfs is not permitted here: {done.stderr.strip()}; run as root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path, name: str = "ballast") -> Path:
    """Take all that is free on the disk; removing the returned file frees it again.

    In one call, so that it cannot take what the gateway frees meanwhile: its reserve.
    """
    ballast = place / name
    with ballast.open("ab") as file:
        while True:
            free = os.statvfs(place)
            size = free.f_bavail * free.f_frsize
            if not size:
                return ballast
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                if error.errno != errno.ENOSPC:  # as when the gateway has written since
                    raise
            else:
                return ballast


@dataclass(slots=True)
class FullDisk:
    """A disk that is full from call `nth` until `free` is called; with None it only counts calls."""

    nth: int | None = None
    calls: list[str] = field(default_factory=list)
    room: int | None = None
    """Bytes left; None while the disk is not full."""
    refused: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def full(self) -> bool:
        return self.room is not None

    def free(self) -> None:
        """Free the disk for good, as if other files had been removed."""
        with self._lock:
            self.nth = self.room = None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Replace the operations of every `Files` of this process while the block runs."""
        names = (*NEEDS_ROOM, "unlink", "truncate", "free_bytes")
        kept = {name: vars(Files)[name] for name in names}
        for name in NEEDS_ROOM:
            setattr(Files, name, self._failing_when_full(name, kept[name]))
        setattr(Files, "unlink", self._freeing_unlink(kept["unlink"]))  # noqa: B010 - an assignment would not type
        setattr(Files, "truncate", self._freeing_truncate(kept["truncate"]))  # noqa: B010
        setattr(Files, "free_bytes", lambda *_: self.room if self.full else PLENTY)  # noqa: B010
        try:
            yield
        finally:
            for name, call in kept.items():
                setattr(Files, name, call)

    def _failing_when_full(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def wanting(files: Files, *arguments: Any) -> Any:
            data = arguments[1] if name == "write" else b""
            fits = self._take(name, len(data))
            if fits == len(data):
                return call(files, *arguments)
            if name == "write":
                call(files, arguments[0], data[: max(0, fits)])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        return wanting

    def _take(self, name: str, size: int) -> int:
        """Return how many of these bytes fit; -1 where the call fails without writing any."""
        with self._lock:
            self.calls.append(name)
            if len(self.calls) == self.nth:
                self.room = 0
                self.refused += 1
                return -1
            if self.room is None:
                return size
            fits = min(size, self.room)
            self.room -= fits
            self.refused += fits < size
            return fits

    def _give(self, size: int) -> None:
        with self._lock:
            if self.room is not None:
                self.room += size

    def _freeing_unlink(self, call: Callable[..., None]) -> Callable[..., None]:
        @wraps(call)
        def unlinking(files: Files, path: Path) -> None:
            size = path.stat().st_size if path.exists() else 0
            call(files, path)
            self._give(size)

        return unlinking

    def _freeing_truncate(self, call: Callable[..., None]) -> Callable[..., None]:
        @wraps(call)
        def cutting(files: Files, handle: int, size: int) -> None:
            before = os.fstat(handle).st_size
            call(files, handle, size)
            self._give(max(0, before - size))

        return cutting
