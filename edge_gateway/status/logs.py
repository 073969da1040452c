"""Logging: colour on a terminal, priorities for journald, JSON lines where they are wanted.

A record is one line in every format, whatever devices, brokers and files wrote into it: what a terminal or the journal
would obey stands as its escape, so that nobody forges a line. Who has several lines to tell logs several records.
Bounded: what would flood it is left out, counted, and the next line that is written says how many were not.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from rich.console import Console
from rich.logging import RichHandler

from edge_gateway.status.repeats import REPEATS
from fleet_console.log_lines import LONGEST_LINE, TextLines, in_a_line, said
from fleet_wire.printable import json_line

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


class JournalLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"<{JOURNAL_PRIORITY.get(record.levelname, 6)}>{record.name}: {in_a_line(record)}"


class JsonLines(logging.Formatter):
    """The text as it was said: JSON escapes what has to be."""

    def format(self, record: logging.LogRecord) -> str:
        told = {"at": int(record.created * 1000), "level": record.levelname.lower(), "name": record.name}
        return json_line({**told, "text": said(record)[:LONGEST_LINE]}, encoding=sys.stderr.encoding)


def set_up_logs(level: str, form: Literal["auto", "text", "json"]) -> None:
    """Send the gateway's log to standard error."""
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(JsonLines())
    elif form == "auto" and "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(JournalLines())
    elif form == "auto" and sys.stderr.isatty():
        handler = RichHandler(console=Console(stderr=True), show_path=False, markup=False)
        handler.setFormatter(TextLines("%(message)s"))
    else:
        handler.setFormatter(TextLines("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    handler.addFilter(REPEATS)
    handler.addFilter(FLOOD)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("mqtt").setLevel(logging.ERROR)
