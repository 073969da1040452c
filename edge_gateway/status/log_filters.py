"""Filters that keep the log from flooding. What they leave out is counted, and the next line written says how much."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from fleet_config.counting import counted

AGAIN_AFTER: Final = 600.0
"""Seconds until the same words are written again."""
MOST_KEPT: Final = 500
"""Different lines that are remembered; the one seen longest ago is forgotten first."""
MOST_AT_ONCE: Final = 200
PER_SECOND: Final = 5.0


@dataclass(slots=True)
class _Written:
    at: float
    repeats: int = 0


@dataclass(slots=True)
class RepeatFilter:
    """Writes the first of equal warnings or errors, and ten minutes later the next one with the number left out.

    Repeats that nothing follows are never reported.
    """

    clock: Callable[[], float] = time.monotonic
    left_out: int = 0
    _written: OrderedDict[tuple[str, int, str], _Written] = field(default_factory=OrderedDict)

    def __call__(self, record: logging.LogRecord) -> bool:
        """Return whether to write a record."""
        if record.levelno < logging.WARNING:
            return True
        now, text = self.clock(), record.getMessage()
        key = (record.name, record.levelno, text)
        last = self._written.pop(key, None)
        if last is not None and now - last.at < AGAIN_AFTER:
            last.repeats += 1
            self.left_out += 1
            self._written[key] = last
            return False
        if last is not None and last.repeats:
            record.msg, record.args = f"{text} (repeated {last.repeats} times since it was last logged)", None
        self._written[key] = _Written(now)
        if len(self._written) > MOST_KEPT:
            self._written.popitem(last=False)
        return True


@dataclass(slots=True)
class RateLimit:
    """Writes 200 lines at once and 5 a second in the long run; errors always."""

    clock: Callable[[], float] = time.monotonic
    left_out: int = 0
    _tokens: float = MOST_AT_ONCE
    _at: float = field(init=False)
    _unreported: int = 0

    def __post_init__(self) -> None:
        self._at = self.clock()

    def __call__(self, record: logging.LogRecord) -> bool:
        """Return whether to write a record; one that follows lines left out says how many they were."""
        now = self.clock()
        self._tokens, self._at = min(MOST_AT_ONCE, self._tokens + PER_SECOND * (now - self._at)), now
        if self._tokens < 1.0 and record.levelno < logging.ERROR:
            self.left_out += 1
            self._unreported += 1
            return False
        self._tokens = max(0.0, self._tokens - 1.0)
        if self._unreported:
            record.msg = f"{record.getMessage()} ({counted(self._unreported, 'line')} before it left out)"
            record.args = None
            self._unreported = 0
        return True


REPEATS: Final = RepeatFilter()
RATE_LIMIT: Final = RateLimit()
