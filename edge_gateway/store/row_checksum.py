"""The checksums of stored windows and names, and the check that a window is the one stored under its key."""

import struct
import zlib
from typing import Final, NamedTuple

_CHECK: Final = struct.Struct("<I")
_KEY: Final = struct.Struct("<qq")
"""The series and start that every window row begins with."""


class NameTable(NamedTuple):
    """A table of names: the columns of its key, and the others but the checksum of all."""

    table: str
    key: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def columns(self) -> str:
        """All columns, the checksum last."""
        return ", ".join((*self.key, *self.others, "crc"))


NAME_TABLES: Final = (
    NameTable("series", ("id",), ("device", "metric", "site", "type", "tags")),
    NameTable("number", ("series", "version"), ("id", "tags")),
    NameTable("text", ("id",), ("text",)),
    NameTable("code", ("code",), ("id",)),
)


def with_checksum(data: bytes) -> bytes:
    """Append the checksum to a row's bytes."""
    return data + _CHECK.pack(zlib.crc32(data))


def checked(blob: object, start: int, series: int) -> bytes | None:
    """Return a stored row without its checksum; None if it is not what was stored under this key.

    `blob` is the value of the column, which in a damaged file may be of any type.
    """
    if not isinstance(blob, bytes):
        return None
    data = blob[: -_CHECK.size]
    sound = blob[-_CHECK.size :] == _CHECK.pack(zlib.crc32(data)) and len(data) >= _KEY.size
    return data if sound and _KEY.unpack_from(data) == (series, start) else None


def name_checksum(*parts: int | str) -> int:
    """Return the checksum of what a number stands for: a series' names, a text, or the store's number of one."""
    return zlib.crc32("\0".join(map(str, parts)).encode())
