"""The text of the problem `disk` names what ran out or failed, with figures, and the remedy that fits it."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_gateway.journal.segments import JournalFull
from edge_gateway.service.disk_causes import (
    Cause,
    budget_used_up,
    cause_of,
    disk_fault,
    disk_full,
    late_share_used_up,
    quota_used_up,
)
from edge_gateway.store.budget import SpoolBytes

MIB = 1 << 20
PLACE = Path("/spool")
USED = SpoolBytes(700 * MIB, 200 * MIB, 260 * MIB, 24 * MIB)


def full_sqlite() -> sqlite3.Error:
    connection = sqlite3.connect(":memory:")
    connection.execute("pragma max_page_count = 1")
    try:
        connection.execute("create table a (b)")
    except sqlite3.OperationalError as error:
        return error
    raise AssertionError("it is full")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), Cause.DISK_FULL),
        (full_sqlite(), Cause.DISK_FULL),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), Cause.QUOTA),
        (OSError(errno.EIO, "Input/output error"), Cause.DISK_FAULT),
        (OSError(errno.EROFS, "Read-only file system"), Cause.DISK_FAULT),
        (JournalFull("full"), Cause.BUDGET),
    ],
    ids=str,
)
def test_each_error_has_its_cause(error: Exception, cause: Cause) -> None:
    assert cause_of(error) is cause


def disk(monkeypatch: pytest.MonkeyPatch, **facts: int) -> None:
    facts = {"f_frsize": 4096, "f_blocks": 1 << 20, "f_bavail": 768, "f_files": 1000, "f_favail": 7, **facts}
    found: Any = SimpleNamespace(**facts)
    monkeypatch.setattr(os, "statvfs", lambda _: found)


def test_a_full_disk_says_how_much_is_free_and_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    disk(monkeypatch)
    assert disk_full(PLACE, 40 * MIB) == (
        "the disk of /spool is full: 3.0 MiB of 4.0 GiB were free, 40.0 MiB are needed; free space there, and it goes"
        " on by itself"
    )


def test_a_disk_without_inodes_is_told_from_one_without_space(monkeypatch: pytest.MonkeyPatch) -> None:
    disk(monkeypatch, f_favail=0)
    told = disk_full(PLACE, 40 * MIB)
    assert "no room for another file: all 1,000 inodes are used" in told
    assert "delete files there" in told
    disk(monkeypatch, f_favail=0, f_files=0)
    assert "is full" in disk_full(PLACE, 40 * MIB), "btrfs counts no inodes"


def test_a_disk_that_tells_nothing_is_full_without_figures(tmp_path: Path) -> None:
    assert disk_full(tmp_path / "gone", 1) == (
        f"the disk of {tmp_path / 'gone'} is full; free space there, and it goes on by itself"
    )


def test_the_spool_s_own_limit_is_not_called_the_disk() -> None:
    told = budget_used_up(PLACE, 1 << 30, USED)
    assert told.startswith("spool.max_bytes is used up: 1.2 GiB of 1.0 GiB in /spool ")
    assert "(journal 700.0 MiB, checkpoints 200.0 MiB, late readings 260.0 MiB, quarantine 24.0 MiB)" in told
    assert "raise spool.max_bytes and restart" in told
    late = late_share_used_up(PLACE, 1 << 30, USED)
    assert "take 260.0 MiB in /spool, and may take 256.0 MiB" in late
    for text in (told, late):
        assert "free space" not in text


def test_a_quota_and_a_fault_have_remedies_of_their_own() -> None:
    assert "raise it" in quota_used_up(PLACE)
    assert disk_fault(PLACE, "Input/output error").startswith(
        "the disk of /spool fails: Input/output error; check"
    )
