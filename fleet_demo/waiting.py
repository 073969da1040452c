"""Waits of the story; one that ends says what did not happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

POLL_EVERY = 0.1


@asynccontextmanager
async def awaiting(what: str, within: float) -> AsyncIterator[None]:
    """Give the block `within` seconds; TimeoutError that says until `what` the story waited."""
    try:
        async with asyncio.timeout(within):
            yield
    except TimeoutError as error:
        raise TimeoutError(f"waited {within:g} s until {what}") from error


async def until(what: str, holds: Callable[[], bool], within: float) -> None:
    """Wait until `holds`, looked at every 0.1 s; TimeoutError that says until `what`."""
    async with awaiting(what, within):
        while not holds():  # noqa: ASYNC110 - what is looked at has no event
            await asyncio.sleep(POLL_EVERY)
