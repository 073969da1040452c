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
    if (library := _glibc()) is not None:
        for parameter, value in ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, _LARGE), (_TRIM_THRESHOLD, _LARGE)):
            library.mallopt(parameter, value)


def return_gaps() -> None:
    """Return the free pages between smaller blocks, which glibc keeps; other threads wait for memory meanwhile.

    It takes some ms: call every few seconds, and not in the thread that answers.
    """
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
