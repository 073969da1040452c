"""Acting as another user, which root may, in directories that every user finds."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65_534
SOMEBODY = 12_345
"""A user who owns nothing and has no name."""
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's place")


def open_to_all(place: Path) -> None:
    """Let every user find a directory: pytest's are for their owner only, and lie deeper where several workers run."""
    for directory in (place, *place.parents):
        mode = directory.stat().st_mode
        if mode & 0o005 != 0o005:
            directory.chmod(mode | 0o055)


@contextmanager
def acting_as(user: int) -> Iterator[None]:
    """Be another user for a while."""
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
