"""The link to the gateway's socket in the machine's run directory."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_gateway.service.socket_link import linked


@contextmanager
def listening(path: Path) -> Iterator[None]:
    path.parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield


def test_it_leads_to_the_socket_while_the_gateway_runs(tmp_path: Path) -> None:
    link = tmp_path / "gw.sock"
    with listening(tmp_path / "spool" / "control.sock"):
        with linked(tmp_path / "spool" / "control.sock", "gw", tmp_path):
            assert link.is_socket()
            assert link.readlink() == tmp_path / "spool" / "control.sock"
        assert not link.is_symlink()


def test_the_link_is_absolute_for_a_relative_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with linked(Path("spool/control.sock"), "gw", tmp_path):
        assert (tmp_path / "gw.sock").readlink() == tmp_path / "spool" / "control.sock"


def test_without_the_directory_there_is_no_link(tmp_path: Path) -> None:
    with linked(tmp_path / "control.sock", "gw", tmp_path / "run"):
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", ["dangling", "dead", "own", "half made"])
def test_a_stale_link_is_replaced(tmp_path: Path, left: str) -> None:
    link, target = tmp_path / "gw.sock", tmp_path / "spool.sock"
    if left == "dead":
        with listening(tmp_path / "old.sock"):
            pass
        link.symlink_to(tmp_path / "old.sock")
    elif left == "half made":
        (tmp_path / ".gw.sock.new").symlink_to("elsewhere")
    else:
        link.symlink_to(target if left == "own" else tmp_path / "gone")
    with linked(target, "gw", tmp_path):
        assert link.readlink() == target
    assert not link.is_symlink()
    assert not (tmp_path / ".gw.sock.new").is_symlink()


@pytest.mark.parametrize("other", ["gateway", "file", "directory"])
def test_a_live_link_and_other_files_are_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, other: str
) -> None:
    link = tmp_path / "gw.sock"
    with caplog.at_level(logging.WARNING), listening(tmp_path / "other.sock"):
        if other == "gateway":
            link.symlink_to(tmp_path / "other.sock")
        elif other == "file":
            link.write_text("precious")
        else:
            link.mkdir()
        with linked(tmp_path / "mine.sock", "gw", tmp_path):
            pass
    assert "does not lead to this gateway's socket" in caplog.text
    assert link.is_symlink() if other == "gateway" else link.exists()


def test_the_link_of_a_successor_is_not_removed(tmp_path: Path) -> None:
    link = tmp_path / "gw.sock"
    with linked(tmp_path / "mine.sock", "gw", tmp_path):
        link.unlink()
        link.symlink_to(tmp_path / "its.sock")
    assert link.readlink() == tmp_path / "its.sock"
