"""The signals that end a program, while there is something to put away."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fleet_console import interrupts

ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ended_by(act: Callable[[int], object]) -> Iterator[None]:
    """Call `act` with each SIGINT and SIGTERM, as a callback of the running loop, while the block runs.

    No exception is raised in whatever runs at that instant: one in an import, in the end of an object or in a C library
    may be lost. After the block an interrupt ends the process at once, as before. What the process was started to
    ignore stays ignored.
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
