"""By what is numbered, a replay knows whether its numbers mean what a record's mean."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_gateway.fleet.registry import Registry
from tests.gateway.fleet.test_registry import birth, series_of


def test_whatever_gets_a_number_or_loses_it_changes_the_numbering() -> None:
    registry, seen = Registry(), set[tuple[int, ...]]()

    def is_new() -> bool:
        """Whether the numbering, which a restart leaves as it is, is one that was not there before."""
        again, before = Registry(), len(seen)
        again.restore(registry.snapshot())
        assert again.numbering == registry.numbering
        seen.add(registry.numbering)
        return len(seen) > before

    steps: list[Callable[[], object]] = [
        lambda: registry.device("n", "a"),
        lambda: registry.birth(0, birth("valve"), 60_000),
        lambda: series_of(registry, 0, "t"),
        lambda: registry.strings.code("on", 0),
        lambda: registry.reclaim(1 << 50, np.zeros(1, np.bool_), ()),
        lambda: series_of(registry, 0, "u"),
        lambda: registry.retire(np.array([0])),
        lambda: registry.device("n", "b"),
        lambda: series_of(registry, 0, "t"),
    ]
    assert is_new()
    for number, step in enumerate(steps):
        step()
        assert is_new(), f"step {number}"
    for step in steps[-2:]:
        step()
    assert not is_new()
