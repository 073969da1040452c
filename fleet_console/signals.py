"""Handling the signals that end a program while it has something to clean up."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fleet_console import interrupts

ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ended_by(act: Callable[[int], object]) -> Iterator[None]:
    """Call `act` with each SIGINT and SIGTERM while the block runs, as a callback of the running loop.

    No exception is raised in the code that happens to run: in an import, a finaliser or a C library it could be lost.
    After the block an interrupt ends the process at once, as before. Signals that the process was started to ignore
    stay ignored.
    """
    loop = asyncio.get_running_loop()
    heard = [number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN]
    for number in heard:
        loop.add_signal_handler(number, act, number)
    try:
        yield
    finally:
        for number in heard:
            loop.remove_signal_handler(number)
        interrupts.end_at_once()
