"""Ctrl-C from the start: set up by a command line before any slow import.

`_signal` is what `signal` wraps: without its enumerations it is there in no time. Before this module is imported there
is only Python's own start, which answers an interrupt in its own way.
"""

import _signal  # type: ignore[import-not-found]
import os

INTERRUPTED = 130
"""The exit status of an interrupted program, as shells give it to one that dies of SIGINT."""


def end_at_once() -> None:
    """Let SIGINT end the process where it stands.

    Python's KeyboardInterrupt would end in a traceback, in a half imported module, or nowhere: a callback that it is
    raised in loses it. Nothing is left behind that a kill would not leave; a program with more to put away says so with
    `signals.ended_by`. A process that was started to ignore interrupts, behind nohup or an `&`, goes on ignoring them.
    """
    if _signal.getsignal(_signal.SIGINT) != _signal.SIG_IGN:
        _signal.signal(_signal.SIGINT, _end)


def _end(number: int, frame: object) -> None:  # noqa: ARG001 - a signal handler's
    os._exit(INTERRUPTED)
