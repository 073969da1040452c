"""The spool directory: one process at a time, and where its parts lie."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_gateway.errors import BadInput, SpoolInUse
from edge_gateway.journal.files import DIRECTORY_MODE, FILE_MODE, FILES, Files, write_whole

LOCK = "lock"
JOURNAL = "journal"
CHECKPOINTS = "checkpoints"
STORE = "store.sqlite"
BROKER = "broker"
RESERVE = "reserve"
SOCKET = "control.sock"
"""Of the running gateway's local socket, see `local_api`."""
SUBSCRIPTIONS = "subscriptions.json"
STARTS = "starts"
MOST_STARTS = 64
_OURS = re.compile(
    r"(?:lock|journal|checkpoints|store\.sqlite|broker|reserve|subscriptions\.json|starts|\.?control\.sock)(?:[.-].*)?"
)
"""Names in a spool directory, with what stands beside a file or was set aside of it."""


@contextmanager
def held(path: Path) -> Iterator[Path]:
    """Make the spool directory, for owner and group, and keep other gateways out of it while the block runs."""
    try:
        FILES.make_directory(path)
        handle = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise BadInput(
            f"the spool {path} cannot be used: {error.strerror}; give spool.path a directory this user may write"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise SpoolInUse(
            f"another gateway is using the spool {path}; stop it, or give this one its own"
        ) from error
    else:
        tighten(path)
        yield path
    finally:
        os.close(handle)


def tighten(place: Path) -> None:
    """Take from what the gateway made what others may do, and the group's right to write.

    An older program left files that everybody may read; so does whoever copies a spool. What belongs to another user
    stays as it is, and so does a directory that holds other things than a spool.
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


def note_start(path: Path, files: Files = FILES) -> tuple[str, ...]:
    """Give this start a nonce of its own, and return those of this spool's starts, the new one last.

    By them a gateway knows its own past. A list that is gone or damaged is begun anew: then it is a stranger's.
    """
    try:
        text = files.read(path / STARTS).decode("ascii", "replace")
    except FileNotFoundError:
        text = ""
    known = [line for line in text.split("\n") if re.fullmatch("[0-9a-f]{16}", line)]
    starts = [*known[1 - MOST_STARTS :], secrets.token_hex(8)]
    write_whole(files, path / STARTS, "\n".join([*starts, ""]).encode())
    return tuple(starts)
