"""Reading files that people edit without letting one of them block or exhaust the program.

Only regular files are opened: a FIFO would block forever, and a device such as /dev/zero has no end.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_KINDS: Final[tuple[tuple[Callable[[int], bool], str], ...]] = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_OF_NAMES: Final = {
    errno.ENOENT: "no such file",
    errno.ELOOP: "cannot be read: it is a symbolic link that leads back to itself",
    errno.ENOTDIR: "no such file: a part of its path is not a directory",
}


class UnreadableFile(Exception):
    """A file was not read; the text is the rest of a sentence that begins with the file's name."""


def read_file(path: Path, most: int) -> bytes:
    """Return the content of a regular file of at most `most` bytes; UnreadableFile otherwise.

    Never waits for a writer and never reads more than `most` + 1 bytes.
    """
    try:
        # Before opening it, because opening alone makes some devices act.
        _require_regular(path.stat().st_mode)
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(handle)
            _require_regular(found.st_mode)  # it may have been replaced in between
            _require_size(found.st_size, most)
            content = file.read(most + 1)
    except OSError as error:
        raise UnreadableFile(why_unreadable(error)) from error
    except ValueError as error:
        raise UnreadableFile("cannot be read: its path contains a NUL character") from error
    _require_size(len(content), most)
    return content


def why_unreadable(error: OSError) -> str:
    """Say why a path cannot be used, without naming the path."""
    return _OF_NAMES.get(error.errno or 0, f"cannot be read: {error.strerror or error}")


def _require_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "not a file")
        raise UnreadableFile(f"is {kind}; it must be a file")


def _require_size(size: int, most: int) -> None:
    if size > most:
        raise UnreadableFile(f"larger than {_shown(most)}")


def _shown(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"
