"""A trouble that is told again and again is one line of the log, and then a number.

A filter of the log's handler, for warnings and errors: a line of the same words within ten minutes is only counted, and
the next one that is written says how many there were. What was not written again by then is not told any more.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

AGAIN_AFTER: Final = 600.0
MOST_KEPT: Final = 500
"""Different lines that are remembered; the one seen longest ago is forgotten first."""


@dataclass(slots=True)
class _Told:
    at: float
    since: int = 0


@dataclass(slots=True)
class Repeats:
    """Lets the first of equal warnings pass, and the first after ten minutes with the number of those between."""

    clock: Callable[[], float] = time.monotonic
    left_out: int = 0
    _told: OrderedDict[tuple[str, int, str], _Told] = field(default_factory=OrderedDict)

    def __call__(self, record: logging.LogRecord) -> bool:
        """Whether a record is written."""
        if record.levelno < logging.WARNING:
            return True
        now, text = self.clock(), record.getMessage()
        key = (record.name, record.levelno, text)
        told = self._told.pop(key, None)
        if told is not None and now - told.at < AGAIN_AFTER:
            told.since += 1
            self.left_out += 1
            self._told[key] = told
            return False
        if told is not None and told.since:
            record.msg, record.args = f"{text} ({told.since} times more since it was last told)", None
        self._told[key] = _Told(now)
        if len(self._told) > MOST_KEPT:
            self._told.popitem(last=False)
        return True


REPEATS = Repeats()
