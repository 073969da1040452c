"""Restart the parts of the gateway that may fail without ending the process.

Only four parts may end it, where going on would break the promise of delivery:

    engine    a fold failed half-way, and only the journal has a consistent state
    commits   a record cannot be encoded, or the writer is gone: nothing could be acknowledged any more
    store     its thread is gone: the next checkpoint would lose windows
    source    acknowledgements are in an unknown state; the broker sends again to a new process

Everything else is restarted, and is a problem until it has run for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from edge_gateway.status.catalogue import Problem
from edge_gateway.status.problems import Problems
from fleet_console.failures import in_words
from fleet_wire import backoff

log = logging.getLogger("edge_gateway.supervision")

Run = Callable[[], Awaitable[None]]
"""A part's work, until it is cancelled."""
SETTLED: Final = 30.0
"""Seconds a restarted part must run until its problem clears."""


async def keep_running(
    part: Problem,
    run: Run,
    problems: Problems,
    *,
    pauses: Callable[[], Iterator[float]] = backoff.delays,
    settled: float = SETTLED,
) -> None:
    """Run a part until cancelled; whenever it raises, open the problem `part` and restart it.

    `pauses` yields the seconds before each restart, and begins anew after a run of `settled` seconds, which also
    clears the problem.
    """
    loop = asyncio.get_running_loop()
    waits = pauses()
    while True:
        begun = loop.time()
        well = loop.call_later(settled, problems.clear, part)
        try:
            await _uncancelled(run)
        except Exception as error:  # whatever ended the part, it runs again
            log.debug("%s", part.code, exc_info=error)
            problems.raise_(part, in_words(error))
        finally:
            well.cancel()
        if loop.time() - begun >= settled:
            waits = pauses()
        await asyncio.sleep(next(waits))


async def _uncancelled(run: Callable[[], Awaitable[None]]) -> None:
    """Run a part; turn a CancelledError that nobody asked for, raised by a library, into a RuntimeError."""
    try:
        await run()
    except asyncio.CancelledError as cancelled:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError("it was cancelled from within") from cancelled
