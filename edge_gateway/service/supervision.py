"""Parts of the gateway that may fail without ending it.

What may end the process is what the promise rests on, where going on would break it:

    engine    the fold is half done, and only the journal knows a state that is whole
    commits   a record cannot be encoded, or the writer is gone: nothing could be acknowledged any more
    store     its thread is gone: windows would be lost with the journal's next checkpoint
    source    the session's acknowledgements are in an unknown state; the broker sends again to a new process

Everything else is begun again, and is a problem until it has worked for a while.
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

log = logging.getLogger(__name__)

SETTLED: Final = 30.0
"""Seconds of work after which a part is well again."""


async def keep_running(
    part: Problem,
    run: Callable[[], Awaitable[None]],
    problems: Problems,
    *,
    pauses: Callable[[], Iterator[float]] = backoff.delays,
    settled: float = SETTLED,
) -> None:
    """Run a part until cancelled; whenever it raises, open the problem `part` and start it again.

    `pauses` returns seconds before each restart, a fresh series after a run that lasted. After `settled` seconds of
    work the problem is over.
    """
    loop = asyncio.get_running_loop()
    waits = pauses()
    while True:
        begun = loop.time()
        well = loop.call_later(settled, problems.clear, part)
        try:
            await _uncancelled(run)
        except Exception as error:
            log.debug("%s", part.code, exc_info=error)
            problems.raise_(part, in_words(error))
        finally:
            well.cancel()
        if loop.time() - begun >= settled:
            waits = pauses()
        await asyncio.sleep(next(waits))


async def _uncancelled(run: Callable[[], Awaitable[None]]) -> None:
    """Run a part; one that a library cancelled, while nobody asked for it, must not end unseen."""
    try:
        await run()
    except asyncio.CancelledError as cancelled:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError("it was cancelled from within") from cancelled
