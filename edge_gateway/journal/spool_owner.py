"""The user whom a spool belongs to: only that user may write to it, or its gateway meets files it may not read."""

import grp
import os
import pwd
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edge_gateway.errors import BadInput


def name_of(path: Path) -> str:
    """Return the owner of a file or directory as `sudo -u` takes it: the name, or `#` and the number without one."""
    number = path.lstat().st_uid
    return _user(number) or f"#{number}"


def _user(number: int) -> str:
    """Return the name of a user; "" without one."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return ""


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def other_owner(place: Path) -> str:
    """Return the owner of an existing spool of another user; "" if it is this user's, or cannot be seen."""
    try:
        return "" if place.stat().st_uid == os.geteuid() else name_of(place)
    except OSError:
        return ""


def become(owner: str) -> str:
    """Return what to write before a shell command so that `owner` runs it."""
    return f"sudo -u {shlex.quote(owner)}"


def as_owner(owner: str, command: str) -> str:
    """Return the shell command by which `owner` runs an `edge-gateway` command."""
    return f"{become(owner)} edge-gateway {command}"


def may_write(path: Path) -> bool:
    """Whether this process may write to a file or directory; for root that is always so."""
    return os.access(path, os.W_OK, effective_ids=True)


def refuse_other_owner(place: Path, command: str) -> None:
    """Raise BadInput if the spool belongs to another user; `command` is what to run as that user."""
    if owner := other_owner(place):
        raise BadInput(
            f"the spool {place.absolute()} belongs to the user {owner}: run `{as_owner(owner, command)}`"
        )


def of_others(place: Path) -> Iterator[Path]:
    """Yield the files and directories in a spool that do not belong to its owner. OSError: it cannot be read."""
    owner = place.stat().st_uid
    for directory, names, files in os.walk(place, onerror=_refuse):
        for path in (Path(directory, name) for name in sorted((*names, *files))):
            with suppress(FileNotFoundError):  # those of a running gateway may be gone in the next moment
                if path.lstat().st_uid != owner:
                    yield path


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def give_back(place: Path) -> str:
    """Return the shell command that gives everything in a spool to its owner."""
    facts = place.stat()
    owner = f"{_user(facts.st_uid) or facts.st_uid}:{_group(facts.st_gid)}"
    return f"sudo chown -hR {shlex.quote(owner)} {shlex.quote(str(place.absolute()))}"


def first_forbidden(place: Path) -> Path | None:
    """Return the first file or directory of a spool that this process may not read and write; None without one.

    What was set aside is not looked at.
    """
    for path in (place, *sorted(place.rglob("*"))):
        kept = not (path.is_symlink() or ".corrupt-" in path.name)
        if kept and not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
            return path
    return None


def refuse_forbidden(place: Path) -> None:
    """Raise BadInput if this process may not use a file of the spool: it must not be taken for a damaged one.

    Of a disk that is mounted read-only the first write tells.
    """
    path = first_forbidden(place) if place.exists() else None
    if path is not None and not os.statvfs(place).f_flag & os.ST_RDONLY:
        raise BadInput(
            f"this user may not read and write {path.absolute()}, which belongs to {name_of(path)}; the spool is"
            f" unchanged. Run `{give_back(place)}`, or check its mode"
        )
