"""Windows rebuilt from the journal: late readings of windows that are there, and nothing sent."""

from __future__ import annotations

from pathlib import Path

from edge_gateway.store.rebuild import NoLines, merge_all
from tests.gateway.store.fleet import MINUTE, T0, closed, closed_states, late, late_states, named, texts
from tests.gateway.store.stored import opened, table


def test_late_readings_are_merged_where_their_window_is_and_dropped_elsewhere_and_nothing_is_sent(
    tmp_path: Path,
) -> None:
    store = opened(tmp_path)
    windows, states = (closed(0, [(1, T0, 1.0)]),), (closed_states(0, [(2, T0, 0)]),)
    store.apply([(1, [named(texts=texts("on", "off"), windows=windows, states=states)])])
    sent = table(store, "outbox")
    values = late([(1, T0 + 1, 2.0), (1, T0 + 9 * MINUTE, 3.0)], tiers=1)
    store.apply([(2, [named(late=values, late_states=late_states([(2, T0 + 1, 1.0), (3, T0, 1.0)]))])])
    merge_all((store._numbers, store._texts), NoLines())
    assert store.late_pending == 0
    assert [row[3] for row in table(store, "window")] == [1]
    assert [row[3] for row in table(store, "state_window")] == [1]
    assert table(store, "outbox") == sent
    store.close()
