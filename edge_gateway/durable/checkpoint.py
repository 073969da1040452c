"""Checkpoints: the folded state after a record, whole, in one checked file.

    magic "EGCP" + version 1 | record number | length | CRC-32 | zstd(codec, arrays shuffled)

The file before the newest one stays until the newest is durable, and as long after as the caller wants:
with its journal records still there, it is what a corrupt newest file falls back to.
"""

import re
import struct
import zlib
from pathlib import Path
from typing import Any, Final, NamedTuple

from edge_gateway.durable import codec
from edge_gateway.durable.files import FILES, Files, write_whole

_HEADER: Final = struct.Struct("<4sB3xQQI")
_MAGIC: Final = b"EGCP"
_VERSION: Final = 1
_NAME: Final = re.compile(r"checkpoint-(\d{20})")


class Checkpoint(NamedTuple):
    """The state after record `number`; `skipped` names newer files that could not be read."""

    number: int
    state: dict[str, Any]
    skipped: tuple[str, ...] = ()


def write_checkpoint(
    directory: Path, number: int, state: dict[str, Any], *, files: Files = FILES, keep: int = 2
) -> int:
    """Write the state after record `number` atomically; returns the lowest number of the files kept.

    Journal segments may be unlinked before that number + 1. Takes time for large states: run it in a thread,
    on copies. OSError leaves the earlier checkpoints as they are.
    """
    body = codec.encode(state, shuffle=True)
    header = _HEADER.pack(_MAGIC, _VERSION, number, len(body), zlib.crc32(body))
    if not directory.is_dir():
        files.make_directory(directory)
    write_whole(files, directory / f"checkpoint-{number:020d}", header + body)
    numbers = sorted(_numbers(directory, files))
    for old in numbers[:-keep]:
        files.unlink(directory / f"checkpoint-{old:020d}")
    return numbers[-keep:][0]


def read_latest(directory: Path, *, files: Files = FILES) -> Checkpoint | None:
    """The newest readable checkpoint, or None; files that cannot be read are named in `skipped`."""
    skipped: list[str] = []
    for number in sorted(_numbers(directory, files), reverse=True):
        path = directory / f"checkpoint-{number:020d}"
        state = _read(path, number, files)
        if state is not None:
            return Checkpoint(number, state, tuple(skipped))
        skipped.append(path.name)
    return None


def checkpoint_files(directory: Path, *, files: Files = FILES) -> tuple[str, ...]:
    """Names of all checkpoints, readable or not, the oldest first."""
    return tuple(f"checkpoint-{number:020d}" for number in sorted(_numbers(directory, files)))


def set_aside_unreadable(directory: Path, names: tuple[str, ...], at: int, *, files: Files = FILES) -> None:
    """Rename checkpoints that cannot be read to `<name>.corrupt-<at>`."""
    for name in names:
        files.rename(directory / name, directory / f"{name}.corrupt-{at}")
    if names:
        files.sync_directory(directory)


def _numbers(directory: Path, files: Files) -> list[int]:
    try:
        names = files.names(directory)
    except FileNotFoundError:
        return []
    return [int(match[1]) for name in names if (match := _NAME.fullmatch(name))]


def _read(path: Path, number: int, files: Files) -> dict[str, Any] | None:
    try:
        data = files.read(path)
        magic, version, named, length, check = _HEADER.unpack_from(data)
    except (OSError, struct.error):
        return None
    body = data[_HEADER.size :]
    sound = (magic, version, named, length) == (_MAGIC, _VERSION, number, len(body))
    if not sound or zlib.crc32(body) != check:
        return None
    try:
        state = codec.decode(body)
    except codec.UndecodableBytes:
        return None
    return state if isinstance(state, dict) else None
