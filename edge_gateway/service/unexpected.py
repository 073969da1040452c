"""Log uncaught errors of event loop, threads and destructors as one line each, instead of a traceback."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from typing import Any

from fleet_console.failures import in_words

log = logging.getLogger("edge_gateway.unexpected")


def log_uncaught_errors() -> None:
    """Install the handlers, for the running event loop and the whole process; tracebacks appear at DEBUG only."""
    asyncio.get_running_loop().set_exception_handler(_of_loop)
    threading.excepthook = _of_thread
    sys.unraisablehook = _of_destructor


def _of_loop(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    _tell(str(context.get("message") or "the event loop"), context.get("exception"))


def _of_thread(arguments: threading.ExceptHookArgs) -> None:
    name = arguments.thread.name if arguments.thread else "?"
    _tell(f"the thread '{name}' ended", arguments.exc_value)


def _of_destructor(arguments: sys.UnraisableHookArgs) -> None:
    _tell(arguments.err_msg or "an object could not be cleared away", arguments.exc_value)


def _tell(what: str, error: BaseException | None) -> None:
    text = f"{what}: {in_words(error)}" if error is not None else what
    log.error("%s", text, exc_info=error if log.isEnabledFor(logging.DEBUG) else None)
