"""Formatting a log record as one line that is safe to show."""

import logging
from datetime import UTC, datetime

from fleet_wire.printable import printable

LONGEST_LINE = 4_000
"""Characters of a record's text."""


def said(record: logging.LogRecord) -> str:
    """Return the text of a record, followed by its error and, instead of a traceback, where that was raised."""
    text = record.getMessage()
    error = record.exc_info[1] if record.exc_info else None
    return text if error is None else f"{text}: {type(error).__name__}: {error}{_origin(error)}"


def in_a_line(record: logging.LogRecord) -> str:
    """Return `said(record)` made safe to show."""
    return printable(said(record), LONGEST_LINE)


def _origin(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f" (at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace else ""


class TextLines(logging.Formatter):
    """Formats records with a format string; `%(message)s` includes the error."""

    def format(self, record: logging.LogRecord) -> str:
        record.message = in_a_line(record)
        if self.usesTime():
            record.asctime = iso(datetime.fromtimestamp(record.created, UTC))
        return self.formatMessage(record)


def iso(at: datetime) -> str:
    """Return a time to the millisecond in ISO 8601, with the offset of this machine's zone."""
    return at.astimezone().isoformat(timespec="milliseconds")
