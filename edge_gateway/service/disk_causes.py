"""Why nothing is acknowledged: which room ran out or what failed, with figures, and what helps."""

from __future__ import annotations

import errno
import os
from enum import Enum, auto
from pathlib import Path
from typing import Final

from edge_gateway.journal.files import is_full
from edge_gateway.journal.segments import JournalFull
from edge_gateway.store.budget import LATE_PART, SpoolBytes, late_bytes
from fleet_config.durations import rounded_size

_BY_ITSELF: Final = "and it goes on by itself"


class Cause(Enum):
    """What keeps the gateway from acknowledging."""

    DISK_FULL = auto()
    QUOTA = auto()
    DISK_FAULT = auto()
    BUDGET = auto()
    LATE = auto()


def cause_of(error: Exception) -> Cause:
    """Return why a commit failed."""
    if isinstance(error, JournalFull):
        return Cause.BUDGET
    if isinstance(error, OSError) and error.errno == errno.EDQUOT:
        return Cause.QUOTA
    return Cause.DISK_FULL if is_full(error) else Cause.DISK_FAULT


def disk_full(place: Path, needed: int) -> str:
    """Say that the disk of `place` is full. `needed`: bytes that must be free before deliveries go on."""
    try:
        disk = os.statvfs(place)
    except OSError:
        return f"the disk of {place} is full; free space there, {_BY_ITSELF}"
    free, size = (rounded_size(blocks * disk.f_frsize) for blocks in (disk.f_bavail, disk.f_blocks))
    if disk.f_files and not disk.f_favail:
        return (
            f"the disk of {place} has no room for another file: all {disk.f_files:,} inodes are used, {free} of"
            f" {size} were free; delete files there, {_BY_ITSELF}"
        )
    return (
        f"the disk of {place} is full: {free} of {size} were free, {rounded_size(needed)} are needed; free space"
        f" there, {_BY_ITSELF}"
    )


def quota_used_up(place: Path) -> str:
    """Say that the gateway's user may write no more to the disk of `place`."""
    return f"the gateway's user has used up its disk quota in {place}; raise it or free space there, {_BY_ITSELF}"


def disk_fault(place: Path, error: str) -> str:
    """Say that the disk of `place` failed otherwise, with the `error` in words."""
    return f"the disk of {place} fails: {error}; check the disk and its mount. It is tried again"


def budget_used_up(place: Path, max_bytes: int, used: SpoolBytes) -> str:
    """Say that the spool has used up its own limit, whatever the disk has left."""
    parts = zip(("journal", "checkpoints", "late readings", "quarantine"), used, strict=True)
    shares = ", ".join(f"{name} {rounded_size(size)}" for name, size in parts)
    return (
        f"spool.max_bytes is used up: {rounded_size(used.total)} of {rounded_size(max_bytes)} in {place} ({shares})."
        " It goes on by itself once the store has what the journal holds; if it does not, raise spool.max_bytes and"
        " restart the gateway"
    )


def late_share_used_up(place: Path, max_bytes: int, used: SpoolBytes) -> str:
    """Say that late readings have used up their part of the spool's limit."""
    return (
        f"late readings that wait to be merged take {rounded_size(used.late)} in {place}, and may take"
        f" {rounded_size(late_bytes(max_bytes))}, a part in {LATE_PART} of spool.max_bytes. It goes on by itself when"
        " they are merged; if this happens often, raise spool.max_bytes and restart the gateway"
    )
