"""The spool directory: one process at a time, and where its parts lie."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_gateway.durable.files import FILES, Files, write_whole
from edge_gateway.errors import BadInput, SpoolInUse

LOCK = "lock"
JOURNAL = "journal"
CHECKPOINTS = "checkpoints"
STORE = "store.sqlite"
BROKER = "broker"
RESERVE = "reserve"
STARTS = "starts"

MOST_STARTS = 64


@contextmanager
def held(path: Path) -> Iterator[Path]:
    """Make the spool directory and keep every other gateway out of it while the block runs."""
    try:
        FILES.make_directory(path)
        handle = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
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
        yield path
    finally:
        os.close(handle)


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
