"""Effects of records reach the tables under the store's numbers."""

from pathlib import Path

from edge_gateway.records.store_effects import (
    StoreEffects,
)
from edge_gateway.store.database import Store
from tests.gateway.store.fleet import (
    T0,
    closed,
    closed_states,
    late,
    named,
    texts,
)
from tests.gateway.store.stored import Registry, lines, opened, table


def test_names_a_new_store_lacks_are_asked_for_and_what_stays_unknown_is_counted(tmp_path: Path) -> None:
    store = opened(tmp_path, resolver=Registry())
    store.apply(
        [
            (
                7,
                [
                    StoreEffects(
                        T0,
                        windows=(closed(0, [(s, T0, 1.0) for s in range(4)]),),
                        states=(closed_states(0, [(6, T0, 3), (6, T0 + 1, 4)]),),
                        late=late([(2, T0, 1.0), (3, T0, 1.0)]),
                    )
                ],
            )
        ]
    )
    assert len(table(store, "window")) == 2
    assert len(table(store, "late")) == 1
    assert store.facts().counters["unnamed_readings"] == 3
    assert sorted(row[1] for row in table(store, "text")) == ["text 4", "unknown"]


def test_texts_are_stored_under_numbers_of_the_store(store: Store) -> None:
    one = named([4], texts=texts("open", "closed"), states=(closed_states(0, [(4, T0, 0), (4, T0 + 9, 1)]),))
    store.apply([(1, [one])])
    other = named([4], texts=texts("closed", "open"), states=(closed_states(0, [(4, T0 + 20, 0)]),))
    store.apply([(2, [other])])
    assert [line.partition(" ")[2] for line in lines(store)] == [
        f'last="closed",changes=1i {T0}000000',
        f'last="closed",changes=1i {T0}000000',
    ]
