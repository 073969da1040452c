"""Windows again from the records of the journal, for a store that is made new.

A window that closed in a record the journal still has is whole there: all that came late for it came in later
records. So it is made from them alone, whatever a damaged store says of it, and nothing of it is sent before
it is whole. Late readings of earlier windows are for the stored windows they belong to, and are left out.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from edge_gateway.records.store_effects import StoreEffects
from edge_gateway.store.late_job import Coverage, LateJob

Derived = tuple[int, Sequence[StoreEffects] | None]
"""A record's number and what it left; None: the numbers of series before it meant something else."""
Records = Callable[[], Iterator[Derived]]

NOTHING_HELD: Final = Coverage(floor=1 << 62, frozen=-(1 << 62))


class Silent:
    """Lines that are not sent."""

    def __init__(self) -> None:
        self.of_texts = self

    def windows(self, *_: Any) -> None:
        """Say nothing of stored windows."""

    def late(self, *_: Any) -> None:
        """Say nothing of readings without a window."""

    def partial(self, *_: Any) -> None:
        """Say nothing of windows that are not whole."""


def merge_all(jobs: Iterable[LateJob], lines: Silent) -> None:
    """Merge every late reading whose window is there, and drop the others."""
    for job in jobs:
        while job.run(NOTHING_HELD, lines):
            pass
