"""The limit of open files: raise it, and warn before it is reached.

Journal, store, broker and database need about 40. What clients can open is bounded: 16 connections of `http` plus 64
about to be closed, 32 of the local socket plus as many about to be closed.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Final

from fleet_wire.errors import system_text

LEAST: Final = 256
"""All bounds together, with some margin."""
MOST: Final = 65_536
"""Never ask for more: some systems allow 10^9, and some libraries loop over all of them."""
SHARE: Final = 0.8
"""Part of the limit in use from which on it is a problem."""
_OPEN = Path("/proc/self/fd")


def raise_limit() -> int:
    """Raise the soft limit towards the hard one (getrlimit(2)); return how many files may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft if soft != resource.RLIM_INFINITY else MOST


def shortage() -> str:
    """Describe what is wrong with the number of open files; "" while nothing is."""
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
        return f"no further file can be opened ({system_text(error)})"
    return f"{count} of {allowed} files are open: raise LimitNOFILE" if count > SHARE * allowed else ""
