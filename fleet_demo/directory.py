"""The demo's directory: emptied, and held by one demo at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["InUse", "held"]

PID_FILE = "demo.pid"


class InUse(Exception):
    """Another demo runs in the directory; the text names its process."""


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Make the directory, or empty it, and keep other demos out until the block ends.

    The lock is on the directory itself, so that it outlives what is removed in it; it ends with the process.

    Raises:
        InUse: another demo runs there; nothing was changed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"another ./demo runs in {os.path.relpath(directory)}{_holder(directory)}") from None
        _empty(directory)
        (directory / PID_FILE).write_text(f"{os.getpid()}\n")
        yield
    finally:
        os.close(lock)


def _holder(directory: Path) -> str:
    """Return ` (pid N)`; "" in the moment before the other has written it."""
    try:
        return f" (pid {int((directory / PID_FILE).read_text())})"
    except (OSError, ValueError):
        return ""


def _empty(directory: Path) -> None:
    for each in directory.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each, ignore_errors=True)
        else:
            each.unlink()
