"""Open files: how many this process may have, and whether they run out.

Journal, store, broker and database need some 40. What strangers can make it open is bounded far below the rest: 16
connections of `http` and 64 about to be closed, 32 of the local socket and as many again.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Final

LEAST: Final = 256
"""What all bounds together may need, and some."""
MOST: Final = 65_536
"""More is not asked for: some systems allow 10^9, and some libraries look at each."""
SHARE: Final = 0.8
_OPEN = Path("/proc/self/fd")


def raise_limit() -> int:
    """Raise the soft limit towards the hard one, as getrlimit(2) allows; returns how many files may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft if soft != resource.RLIM_INFINITY else MOST


def shortage() -> str:
    """Say what is wrong with the number of open files; an empty text while nothing is."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed == resource.RLIM_INFINITY:
        return ""
    if allowed < LEAST:
        return f"only {allowed} files may be open, {LEAST} are needed: raise LimitNOFILE, or ulimit -n"
    try:
        count = len(os.listdir(_OPEN))  # noqa: PTH208 - a generator of paths would make one for each
    except FileNotFoundError:
        return ""  # no /proc here
    except OSError as error:
        return f"no further file can be opened ({error.strerror})"
    return f"{count} of {allowed} files are open: raise LimitNOFILE" if count > SHARE * allowed else ""
