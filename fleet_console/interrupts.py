"""Ctrl-C from the start: set up by a command line before any slow import.

`_signal` is what `signal` wraps: without its enumerations it is there in no time. Before this module is imported there
is only Python's own start, which answers an interrupt in its own way.
"""

import _signal  # type: ignore[import-not-found]
import os

INTERRUPTED = 130
"""The exit status of an interrupted program, as shells give it to one that dies of SIGINT."""


def end_at_once() -> None:
    """Let SIGINT end the process where it stands: while it imports, and while Python takes itself down.

    There an exception would end in a traceback, or in a half imported module.
    """
    _handle(_end)


def raise_to_the_command() -> None:
    """Let SIGINT raise KeyboardInterrupt, so that a command puts its things away; asyncio knows this handler."""
    _handle(_signal.default_int_handler)


def _handle(handler) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - the words for it would be imports
    """Leave a process alone that was started to ignore interrupts, behind nohup or an `&`."""
    if _signal.getsignal(_signal.SIGINT) != _signal.SIG_IGN:
        _signal.signal(_signal.SIGINT, handler)


def _end(number: int, frame: object) -> None:  # noqa: ARG001 - a signal handler's
    os._exit(INTERRUPTED)
