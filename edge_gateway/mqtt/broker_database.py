"""Mosquitto's database file, as far as it takes to tell that the broker would not start with it.

After a power cut `mosquitto.db` can be truncated or hold zeros, and Mosquitto then refuses to start at all.
A broker without its queue is better than none, so the file is moved aside before the start, never deleted.

Format (Mosquitto's `persist.h`, versions 5 and 6, big endian): 15 bytes of magic, a 32-bit checksum that is
always zero, a 32-bit version, then chunks of a 32-bit kind, a 32-bit length and as many bytes.
"""

import mmap
import os
import struct
import time
from pathlib import Path

_MAGIC = b"\x00\xb5\x00mosquitto db"
_HEADER = struct.Struct(">15sII")
_CHUNK = struct.Struct(">II")
_CHUNKED_VERSIONS = (5, 6)
_KINDS = range(1, 7)


def fault(path: Path) -> str:
    """What keeps Mosquitto from reading the database at `path`; "" where nothing does, or no file is there.

    Only the structure is looked at, in one pass; a database of a version not known here is taken to be sound.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return ""  # Mosquitto warns and starts
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _content_fault(content)
    except FileNotFoundError:
        return ""


def _content_fault(content: mmap.mmap) -> str:
    size = len(content)
    if size < _HEADER.size:
        return f"only {size} bytes"
    magic, _, version = _HEADER.unpack_from(content)
    if magic != _MAGIC:
        return "not a Mosquitto database"
    return _chunk_fault(content, size) if version in _CHUNKED_VERSIONS else ""


def _chunk_fault(content: mmap.mmap, size: int) -> str:
    at = _HEADER.size
    while at < size:
        if at + _CHUNK.size > size:
            return f"cut off at byte {size}"
        kind, length = _CHUNK.unpack_from(content, at)
        if kind not in _KINDS:
            return f"damaged at byte {at}"
        at += _CHUNK.size + length
    return "" if at == size else f"cut off at byte {size}"


def set_aside(path: Path) -> Path:
    """Rename a database to `<name>.corrupt-<seconds since 1970>` beside itself, and give the new path."""
    aside = path.with_name(f"{path.name}.corrupt-{int(time.time())}")
    path.replace(aside)
    return aside


def guard(path: Path) -> str:
    """Before a broker starts: move a database it could not read aside. What was done, or ""."""
    found = fault(path)
    if not found:
        return ""
    return f"{path} is {found}: the broker would not start with it; kept as {set_aside(path).name}"
