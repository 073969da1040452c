"""Logging: colour on a terminal, priorities for journald, JSON lines on request.

A record is one line in every format, whatever devices, brokers and files wrote into it: characters that a terminal or
the journal would obey are escaped, so that nobody forges a line. For several lines, log several records.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Final, Literal

from edge_gateway.status.log_filters import RATE_LIMIT, REPEATS
from fleet_console.log_lines import LONGEST_LINE, TextLines, in_a_line, iso, said
from fleet_wire.printable import json_line

JOURNAL_PRIORITY: Final = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}


class JournalLines(logging.Formatter):
    """Lines with a priority that journald understands."""

    def format(self, record: logging.LogRecord) -> str:
        return f"<{JOURNAL_PRIORITY.get(record.levelname, 6)}>{record.name}: {in_a_line(record)}"


class JsonLines(logging.Formatter):
    """Lines of JSON with the exact text: JSON escapes what needs it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {"at": int(record.created * 1000), "level": record.levelname.lower(), "name": record.name}
        return json_line({**fields, "text": said(record)[:LONGEST_LINE]}, encoding=sys.stderr.encoding)


def set_up_logs(level: str, form: Literal["auto", "text", "json"]) -> None:
    """Send the gateway's log to standard error."""
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(JsonLines())
    elif form == "auto" and "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(JournalLines())
    elif form == "auto" and sys.stderr.isatty():
        handler = _on_a_terminal()
    else:
        handler.setFormatter(TextLines("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    handler.addFilter(REPEATS)
    handler.addFilter(RATE_LIMIT)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("mqtt").setLevel(
        logging.CRITICAL
    )  # its errors are those of connections, which become problems


def _on_a_terminal() -> logging.Handler:
    """Return a handler that prints in colour. Its imports take 2 MB, which a service does without."""
    from rich.console import Console  # noqa: PLC0415
    from rich.logging import RichHandler  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    handler = RichHandler(
        console=Console(stderr=True),
        show_path=False,
        markup=False,
        log_time_format=lambda at: Text(iso(at)),
    )
    handler.setFormatter(TextLines("%(message)s"))
    return handler
