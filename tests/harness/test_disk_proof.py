"""The proof of full disks: its model, a life on it, and that it counts what must not be."""

from __future__ import annotations

import asyncio
import errno
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from edge_gateway.journal.files import FILES, Files
from edge_gateway.journal.reserve import Reserve
from edge_gateway.service.disk_guard import DiskGuard
from edge_gateway.service.engine import Engine
from tests.proofs.disk.full_disk import FullDisk
from tests.proofs.disk.full_inside import live
from tests.proofs.disk.proof import count_run
from tests.proofs.proof import Findings


def test_a_disk_model_is_full_from_its_nth_call_until_files_are_removed(tmp_path: Path) -> None:
    disk = FullDisk(nth=4)
    with disk.installed():
        handle = FILES.create(tmp_path / "a")
        FILES.write(handle, b"12345")
        FILES.datasync(handle)
        with pytest.raises(OSError, match="No space") as refused:
            FILES.write(handle, b"6")
        assert refused.value.errno == errno.ENOSPC
        assert FILES.free_bytes(tmp_path) == 0
        FILES.truncate(handle, 2)
        with pytest.raises(OSError, match="No space"):
            FILES.write(handle, b"7890")
        assert (tmp_path / "a").read_bytes() == b"12\0\0\x00789", "three bytes fit, the fourth does not"
        FILES.unlink(tmp_path / "a")
        assert FILES.free_bytes(tmp_path) == 8
        disk.free()
        FILES.write(handle, bytes(100))
        FILES.close(handle)
    assert disk.calls == ["create", "write", "datasync", "write", "write", "write"]
    assert vars(Files)["write"].__qualname__ == "Files.write", "what stood behind is taken away"


@pytest.mark.parametrize("nth", [30, 47])
def test_a_run_on_a_disk_that_fills_loses_nothing(tmp_path: Path, nth: int) -> None:
    findings = Findings()
    count_run(findings, asyncio.run(live(tmp_path, nth)), nth)
    assert findings.acknowledged
    assert findings.ok, findings


def test_the_disk_proof_notices_a_gateway_that_accepts_more_without_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncio.Event, "wait", _without_waiting_to_fold(asyncio.Event.wait))
    found = asyncio.run(live(tmp_path, 40))
    assert "acknowledged without room" in dict(found.forbidden)


def _without_waiting_to_fold(
    wait: Callable[[asyncio.Event], Awaitable[bool]],
) -> Callable[[asyncio.Event], Awaitable[bool]]:
    """Return a replacement that returns at once where the engine waits before it folds, and is `wait` elsewhere."""

    async def waited(event: asyncio.Event) -> bool:
        caller = sys._getframe(1).f_code.co_name
        return True if caller == "_fold_arrivals" else await wait(event)

    return waited


def test_the_disk_proof_notices_a_gateway_that_acknowledges_before_it_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill while the disk is full would lose what was acknowledged; without a reserve no checkpoint hides it."""
    submit = Engine.submit

    def hasty(engine: Engine) -> int:
        engine.source.acknowledge(engine._open.arrivals)
        engine._open.arrivals = []
        return submit(engine)

    monkeypatch.setattr(Engine, "submit", hasty)
    monkeypatch.setattr(Reserve, "make", lambda *_, **__: False)
    findings = Findings()
    count_run(findings, asyncio.run(live(tmp_path, 20)), 20)
    assert findings.lost
    assert findings.forbidden["lost by a kill while full"]


def test_the_disk_proof_notices_a_gateway_that_does_not_report_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.proofs.disk.full_inside.WITHIN", 0.5)
    monkeypatch.setattr(DiskGuard, "_tell", lambda _: None)
    findings = Findings()
    count_run(findings, asyncio.run(live(tmp_path, 40)), 40)
    assert findings.forbidden["no alarm"]
