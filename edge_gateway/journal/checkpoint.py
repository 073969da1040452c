"""Checkpoints: the whole folded state after a record, in one file with a checksum.

    magic "EGCP" + format | record number | length | CRC-32 of all the rest | zstd(codec, arrays shuffled)

The header's layout never changes; the format says which keys the state has. In format 1 the CRC covered the body
alone.

The newest `keep` files stay. With the journal records behind it, an older file is the fallback for a corrupt newer one.
"""

import logging
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from edge_gateway.errors import OtherSpool
from edge_gateway.journal.files import FILES, Files, write_whole
from edge_gateway.records import codec

log = logging.getLogger("edge_gateway.checkpoint")

_HEADER: Final = struct.Struct("<4sB3xQQI")
_CHECK: Final = struct.Struct("<I")
_MAGIC: Final = b"EGCP"
FORMAT: Final = 18
_NAME: Final = re.compile(r"checkpoint-(\d{20})")


class Checkpoint(NamedTuple):
    """The state after record `number`; `skipped` names newer files that could not be read."""

    number: int
    state: dict[str, Any]
    skipped: tuple[str, ...] = ()


def write_checkpoint(
    directory: Path, number: int, state: dict[str, Any], *, files: Files = FILES, keep: int = 2
) -> int:
    """Write the state after record `number` atomically; return the lowest record number of the files kept.

    Journal segments that end at or before that number may be unlinked. A large state takes seconds: call it in a
    thread, with a copy, because encoding empties `state`. An OSError leaves the earlier checkpoints as they are.
    """
    body = codec.encode_piecewise(state)
    header = _header(FORMAT, number, body)
    if not directory.is_dir():
        files.make_directory(directory)
    write_whole(files, directory / f"checkpoint-{number:020d}", header + body)
    numbers = sorted(_numbers(directory, files))
    for old in numbers[:-keep]:
        files.unlink(directory / f"checkpoint-{old:020d}")
    return numbers[-keep:][0]


def read_latest(
    directory: Path, *, files: Files = FILES, take: Callable[[dict[str, Any]], object] = lambda _: None
) -> Checkpoint | None:
    """Return the newest checkpoint that can be read and whose state `take` accepts without raising, or None.

    `skipped` names the newer files that could not be read or taken over.
    """
    skipped: list[str] = []
    for number in sorted(_numbers(directory, files), reverse=True):
        path = directory / f"checkpoint-{number:020d}"
        state = _read(path, number, files)
        if state is not None and _is_taken(take, state, path):
            return Checkpoint(number, state, tuple(skipped))
        skipped.append(path.name)
    return None


def _is_taken(take: Callable[[dict[str, Any]], object], state: dict[str, Any], path: Path) -> bool:
    try:
        take(state)
    except Exception as error:  # noqa: BLE001 - any error: an older checkpoint and the journal lead to the same state
        log.error(  # noqa: TRY400 - the text says it all
            "skipping checkpoint %s, its state is not valid (%s: %s); an older one and the journal replace it",
            path,
            type(error).__name__,
            error,
        )
        return False
    return True


def refuse_other(directory: Path, *, files: Files = FILES) -> int:
    """Raise OtherSpool if a program of another version wrote one of the checkpoints. Changes nothing.

    Returns the number of the newest intact checkpoint, -1 if there is none.
    """
    newest = -1
    for number in _numbers(directory, files):
        path = directory / f"checkpoint-{number:020d}"
        try:
            data = files.read(path)
            _, version, named, *_ = _HEADER.unpack_from(data)
        except (OSError, struct.error):
            continue
        if data[: _HEADER.size] != _header(version, named, data[_HEADER.size :]):
            continue
        if version != FORMAT:
            raise OtherSpool.of(path, version, FORMAT)
        newest = max(newest, number)
    return newest


def checkpoint_files(directory: Path, *, files: Files = FILES) -> tuple[str, ...]:
    """Names of all checkpoint files, readable or not, oldest first."""
    return tuple(f"checkpoint-{number:020d}" for number in sorted(_numbers(directory, files)))


def set_aside_unreadable(directory: Path, names: tuple[str, ...], at: int, *, files: Files = FILES) -> None:
    """Rename these checkpoint files to `<name>.corrupt-<at>`."""
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
        version = _HEADER.unpack_from(data)[1]
    except (OSError, struct.error):
        return None
    body = data[_HEADER.size :]
    if version != FORMAT or data[: _HEADER.size] != _header(version, number, body):
        return None
    try:
        state = codec.decode(body)
    except codec.UndecodableBytes:
        return None
    return state if isinstance(state, dict) else None


def _header(version: int, number: int, body: bytes) -> bytes:
    start = _HEADER.pack(_MAGIC, version, number, len(body), 0)[: -_CHECK.size]
    return start + _CHECK.pack(zlib.crc32(body, zlib.crc32(start)))
