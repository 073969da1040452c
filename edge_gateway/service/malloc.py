"""What the C library does with memory that is free again. Elsewhere than with glibc this does nothing."""

from __future__ import annotations

import ctypes
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
"""Numbers of mallopt(3)."""
_LARGE: Final = 128 << 10


def return_free_memory() -> None:
    """Give blocks of 128 KB and more back to the system as soon as they are free; let all threads share one heap.

    By itself glibc raises its thresholds with the largest block it ever freed, and keeps a heap a thread: what a window
    that closes, or a checkpoint, needs for an instant would stay. Call it before there are threads.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        for parameter, value in ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, _LARGE), (_TRIM_THRESHOLD, _LARGE)):
            library.mallopt(parameter, value)
