"""Logging: colour on a terminal, priorities for journald, JSON lines where they are wanted."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Literal

from rich.logging import RichHandler

JOURNAL_PRIORITY = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}


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
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("mqtt").setLevel(logging.ERROR)
