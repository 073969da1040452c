"""The spool directory: one process at a time, and where its parts lie."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_gateway.durable.files import FILES
from edge_gateway.errors import BadInput, SpoolInUse

LOCK = "lock"
JOURNAL = "journal"
CHECKPOINTS = "checkpoints"
STORE = "store.sqlite"
BROKER = "broker"
RESERVE = "reserve"
SOCKET = "control.sock"
"""Of the running gateway's local socket, see `local_api`."""


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
