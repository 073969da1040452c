"""Ctrl-C from the start: set up by a command line before any slow import.

It uses `_signal`, which `signal` wraps, because without the enumerations it imports at once. An interrupt before this
module is imported hits Python's own start, which handles it in its own way.
"""

import _signal  # type: ignore[import-not-found]
import os

INTERRUPTED = 130
"""The exit status that shells report for a program killed by SIGINT."""


def end_at_once() -> None:
    """Let SIGINT end the process at once.

    Python's KeyboardInterrupt would end in a traceback, in a half imported module, or nowhere: it is lost if raised in
    a callback. This leaves nothing behind that a kill would not; a program with more to clean up uses
    `signals.ended_by`. A process that was started to ignore interrupts, by nohup or `&`, still ignores them.
    """
    if _signal.getsignal(_signal.SIGINT) != _signal.SIG_IGN:
        _signal.signal(_signal.SIGINT, _end)


def _end(number: int, frame: object) -> None:  # noqa: ARG001 - a signal handler's
    os._exit(INTERRUPTED)
