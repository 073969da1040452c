"""A symbolic link `/run/edge-gateway/<id>.sock` to the gateway's local socket, for people and programs.

The socket itself is in the spool; the gateway does not need the link.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fleet_wire.errors import system_text

log = logging.getLogger("edge_gateway.socket_link")

RUN_DIRECTORY = Path("/run/edge-gateway")


@contextmanager
def linked(path: Path, name: str, directory: Path = RUN_DIRECTORY) -> Iterator[None]:
    """Link `<directory>/<name>.sock` to the socket `path` while the block runs, if the directory exists.

    A stale link is replaced. A link to a live gateway, or anything that is not a link, is left alone with a warning.
    """
    target, link = path.absolute(), directory / f"{name}.sock"
    if directory.is_dir():
        try:
            _make(link, target)
        except OSError as error:
            log.warning("%s does not lead to this gateway's socket %s: %s", link, target, system_text(error))
    try:
        yield
    finally:
        with suppress(OSError):
            if link.readlink() == target:
                link.unlink()


def _make(link: Path, target: Path) -> None:
    if _answers(link, target):
        raise FileExistsError("another gateway of this id answers there")
    if os.path.lexists(link) and not link.is_symlink():
        raise FileExistsError("it exists and is not a link")
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


def _answers(link: Path, target: Path) -> bool:
    """Return whether the link leads to a live socket other than `target`."""
    try:
        if link.readlink() == target:
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(str(link))
    except OSError:
        return False
    return True
