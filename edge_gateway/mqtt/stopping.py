"""Reliable cancellation for loops that catch errors and retry.

Before Python 3.12 `asyncio.wait_for`, which aiomqtt uses, swallows a cancel that arrives in the same turn as its
result. Before 3.13 a TaskGroup swallows one that arrives with a child's error, and before 3.12 it leaves
`Task.cancelling()` too high. A task that must see its cancel therefore uses no TaskGroup and checks that count itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

ASK_AGAIN = 0.1


def stop_if_asked() -> None:
    """Raise CancelledError if this task was cancelled and a library swallowed the cancel."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Run coroutines concurrently until one ends, then cancel the others; raise its error, or the caller's cancel."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _ended(tasks)
    for task in done:
        task.result()


async def _ended(tasks: Sequence[asyncio.Future[None]]) -> None:
    """Cancel tasks, repeatedly, until all have ended; ignore their errors."""
    left: set[asyncio.Future[None]] = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=ASK_AGAIN)
    for task in tasks:
        _ = task.cancelled() or task.exception()
