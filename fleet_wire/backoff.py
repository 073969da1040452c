"""Retry delays, and which failures are worth a retry."""

import random
from collections.abc import Callable, Iterator
from typing import Literal

from fleet_wire.errors import ConnectionLost, ConnectRefused

# Refusals that may pass without an operator: unspecified, implementation-specific, unavailable, busy, shutting down,
# quota, use another server, connection rate. Every other code needs an operator to change something.
_PASSING = frozenset({0x80, 0x83, 0x88, 0x89, 0x8B, 0x97, 0x9C, 0x9F})


def delays(
    first: float = 0.5,
    most: float = 30.0,
    *,
    jitter: float = 0.5,
    random: Callable[[], float] = random.random,
) -> Iterator[float]:
    """Yield the seconds to wait before each new attempt, without end: they double from `first` up to `most`.

    Each is shortened by a random share of at most `jitter`, so that devices which lost the broker together do not
    return together.
    """
    delay = min(first, most)
    while True:
        yield delay * (1 - jitter * random())
        delay = min(2 * delay, most)


def classify(problem: BaseException) -> Literal["retry", "fatal"]:
    """Return whether a retry can help. A session taken over is fatal: another program uses the client id."""
    if isinstance(problem, ConnectRefused):
        return "retry" if problem.reason in _PASSING else "fatal"
    if isinstance(problem, ConnectionLost):
        return "fatal" if problem.taken_over else "retry"
    return "retry" if isinstance(problem, OSError) else "fatal"
