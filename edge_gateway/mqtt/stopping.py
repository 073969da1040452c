"""An end that cannot be missed: what loops, takes errors and tries again must not take a cancel for one of them.

aiomqtt waits with `asyncio.wait_for`, which until Python 3.12 returns a result that came in the same turn and forgets
the cancel. A TaskGroup whose child fails in the same turn forgets it until 3.13, and until 3.12 it leaves a count of
cancels that are over. So a task that must see its cancel has no TaskGroup, and looks at that count itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

ASK_AGAIN = 0.1


def stop_if_asked() -> None:
    """Raise CancelledError where this task was cancelled and the cancel got lost on its way."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Run them beside each other until one ends, and end the others; raises its error, or the cancel of the caller."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _ended(tasks)
    for task in done:
        task.result()


async def _ended(tasks: Sequence[asyncio.Future[None]]) -> None:
    """Cancel tasks until they have ended, however often one forgets it. Their errors are nobody's."""
    left: set[asyncio.Future[None]] = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=ASK_AGAIN)
    for task in tasks:
        _ = task.cancelled() or task.exception()
