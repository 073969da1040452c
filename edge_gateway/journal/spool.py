"""The spool directory: the names of its parts, and a lock that admits one process at a time."""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_gateway.errors import BadInput, SpoolInUse
from edge_gateway.journal.files import DIRECTORY_MODE, FILE_MODE, FILES, Files, write_whole
from fleet_wire.errors import system_text

LOCK = "lock"
JOURNAL = "journal"
CHECKPOINTS = "checkpoints"
STORE = "store.sqlite"
BROKER = "broker"
RESERVE = "reserve"
SOCKET = "control.sock"
"""The running gateway's local socket."""
SUBSCRIPTIONS = "subscriptions.json"
PROBLEMS = "problems.json"
"""The problems that outlast a restart."""
STARTS = "starts"
MOST_STARTS = 1_024
RESTORED = "restored"
"""An empty file: an operator says that the spool was restored from a copy."""
_NAMES = (
    *(LOCK, JOURNAL, CHECKPOINTS, STORE, BROKER, RESERVE, SOCKET, f".{SOCKET}"),
    *(SUBSCRIPTIONS, PROBLEMS, STARTS, RESTORED),
)
_OURS = re.compile(rf"(?:{'|'.join(map(re.escape, _NAMES))})(?:[.-].*)?")
"""Names that a gateway gives to files in its spool, with suffixes such as -wal and .corrupt-<time>."""


@contextmanager
def held(path: Path) -> Iterator[Path]:
    """Make the spool directory and lock it while the block runs.

    Raises BadInput if the directory cannot be used, SpoolInUse if another process holds the lock.
    """
    try:
        FILES.make_directory(path)
        handle = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise BadInput(
            f"cannot use the spool {path.absolute()}: {system_text(error)};"
            " set spool.path to a directory this user may write to"
        ) from error
    try:
        _give_to_owner(handle, path)
        _lock(handle, path)
        tighten(path)
        yield path
    finally:
        os.close(handle)


def _give_to_owner(handle: int, path: Path) -> None:
    """Let a lock that root makes in the spool of another user belong to that user, whose gateway opens it next."""
    if os.geteuid() == 0:
        facts = path.stat()
        with suppress(OSError):
            os.fchown(handle, facts.st_uid, facts.st_gid)


def require_directory(path: Path) -> None:
    """Raise BadInput if a spool's path is something else than a directory."""
    if path.exists() and not path.is_dir():
        raise BadInput(
            f"spool.path is {path.absolute()}, which is no directory: set it to the gateway's spool"
        )


def refuse_in_use(path: Path) -> None:
    """Raise SpoolInUse if another process holds the lock of a spool; nothing is made or changed."""
    with suppress(FileNotFoundError, PermissionError, NotADirectoryError), (path / LOCK).open("rb") as file:
        _lock(file.fileno(), path)


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise SpoolInUse(
            f"another gateway is using the spool {path}; stop it, or set another spool.path for this one"
        ) from error


def tighten(place: Path) -> None:
    """Remove the permissions of other users, and the group's write permission, from the gateway's own files.

    A copied spool may be readable by everyone. Files of another user stay as they are, and so does the mode of a
    directory that holds anything besides a spool.
    """
    with suppress(OSError):
        entries = list(place.iterdir())
        ours = [entry for entry in entries if _OURS.fullmatch(entry.name)]
        for entry in ours:
            _tighten_all(entry)
        if len(ours) == len(entries):
            _tighten(place)


def _tighten_all(path: Path) -> None:
    _tighten(path)
    for directory, within, names in os.walk(path):
        for name in (*within, *names):
            _tighten(Path(directory, name))


def _tighten(path: Path) -> None:
    with suppress(OSError):
        mode = path.lstat().st_mode
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            return  # a link has no mode of its own, and the socket is the group's to write to
        allowed = DIRECTORY_MODE if stat.S_ISDIR(mode) else FILE_MODE
        if stat.S_IMODE(mode) & ~allowed:
            path.chmod(stat.S_IMODE(mode) & allowed)


def mark_restored(path: Path, files: Files = FILES) -> None:
    """Note that this spool was restored from an older copy, for the next start."""
    write_whole(files, path / RESTORED, b"")


def note_start(path: Path, files: Files = FILES) -> tuple[str, ...]:
    """Add a random nonce for this start, and return those of the newest starts of this spool, this one last.

    A gateway recognises its own earlier status messages by them. A missing or damaged list is started anew, and the
    earlier messages then count as another gateway's: the spool counts as a copy.
    """
    try:
        text = files.read(path / STARTS).decode("ascii", "replace")
    except FileNotFoundError:
        text = ""
    known = [line for line in text.split("\n") if re.fullmatch("[0-9a-f]{16}", line)]
    starts = [*known[1 - MOST_STARTS :], os.urandom(8).hex()]
    write_whole(files, path / STARTS, "\n".join([*starts, ""]).encode())
    return tuple(starts)
