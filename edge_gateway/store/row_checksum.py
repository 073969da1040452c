"""The checksum of a stored window, and whether what stands under a key is what was put there."""

import struct
import zlib
from typing import Final

_CHECK: Final = struct.Struct("<I")
_KEY: Final = struct.Struct("<qq")
"""Every row of a window begins with its series and its start."""


def with_checksum(data: bytes) -> bytes:
    """A row's bytes as they are stored."""
    return data + _CHECK.pack(zlib.crc32(data))


def checked(blob: object, start: int, series: int) -> bytes | None:
    """A row's bytes; None where they are not what was stored under this key, whatever stands in their place."""
    if not isinstance(blob, bytes):
        return None
    data = blob[: -_CHECK.size]
    sound = blob[-_CHECK.size :] == _CHECK.pack(zlib.crc32(data)) and len(data) >= _KEY.size
    return data if sound and _KEY.unpack_from(data) == (series, start) else None
