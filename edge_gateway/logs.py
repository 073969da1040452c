"""Logging: colour on a terminal, priorities for journald, JSON lines where they are wanted.

Bounded: what would flood it is left out, counted, and the next line that is written says how many were not.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from rich.logging import RichHandler

from edge_gateway.repeats import REPEATS

JOURNAL_PRIORITY = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}
MOST_AT_ONCE = 200
PER_SECOND = 5.0


@dataclass(slots=True)
class Flood:
    """Lets 200 lines pass at once and 5 a second in the long run; errors always."""

    clock: Callable[[], float] = time.monotonic
    left_out: int = 0
    _tokens: float = MOST_AT_ONCE
    _at: float = field(init=False)
    _untold: int = 0

    def __post_init__(self) -> None:
        self._at = self.clock()

    def __call__(self, record: logging.LogRecord) -> bool:
        """Whether a record is written; one that comes after others were not says so."""
        now = self.clock()
        self._tokens, self._at = min(MOST_AT_ONCE, self._tokens + PER_SECOND * (now - self._at)), now
        if self._tokens < 1.0 and record.levelno < logging.ERROR:
            self.left_out += 1
            self._untold += 1
            return False
        self._tokens = max(0.0, self._tokens - 1.0)
        if self._untold:
            record.msg, record.args = (
                f"{record.getMessage()} ({self._untold} lines before were left out)",
                None,
            )
            self._untold = 0
        return True


FLOOD = Flood()


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told = {"at": int(record.created * 1000), "level": record.levelname.lower(), "name": record.name}
        return json.dumps({**told, "text": record.getMessage()}, ensure_ascii=False)


class JournalLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"<{JOURNAL_PRIORITY.get(record.levelname, 6)}>{record.name}: {record.getMessage()}"


def set_up_logs(level: str, form: Literal["auto", "text", "json"]) -> None:
    """Send the gateway's log to standard error."""
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(JsonLines())
    elif form == "auto" and "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(JournalLines())
    elif form == "auto" and sys.stderr.isatty():
        handler = RichHandler(show_path=False, rich_tracebacks=False)
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    handler.addFilter(REPEATS)
    handler.addFilter(FLOOD)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("mqtt").setLevel(logging.ERROR)
