"""Make glibc return free memory to the system; a no-op with other C libraries."""

from __future__ import annotations

import ctypes
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
"""Numbers of mallopt(3)."""
_LARGE: Final = 128 << 10


def return_free_memory() -> None:
    """Return freed blocks of 128 KiB and more at once, and share one heap among all threads.

    By default glibc raises its thresholds to the largest block ever freed and keeps a heap per thread, so the peak of
    a closing window or a checkpoint would stay allocated. Call before starting threads.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        for parameter, value in ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, _LARGE), (_TRIM_THRESHOLD, _LARGE)):
            library.mallopt(parameter, value)
