"""Check Mosquitto's database file before a start, and move it aside if the broker would refuse it.

After a power cut `mosquitto.db` can be truncated or zeroed, and Mosquitto then refuses to start.
A broker without its queue is better than no broker, so the file is renamed, never deleted.

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
    """Describe the damage that keeps Mosquitto from reading the database at `path`; "" if none, or no file.

    Checks the chunk structure only, in one pass. A database of an unknown version passes.
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
    """Rename a database to `<name>.corrupt-<Unix seconds>` in the same directory; return the new path."""
    aside = path.with_name(f"{path.name}.corrupt-{int(time.time())}")
    path.replace(aside)
    return aside


def guard(path: Path) -> str:
    """Move a database that a broker could not read aside; return a sentence about it, or ""."""
    found = fault(path)
    if not found:
        return ""
    return f"{path} is {found}: the broker would not start with it; kept as {set_aside(path).name}"
