"""The tags a window is stored and sent under: those of its own time, and the same ones for good."""

from edge_gateway.records.store_effects import StoreEffects, both
from edge_gateway.store.database import Store
from tests.gateway.store.fleet import MINUTE, T0, closed, late, name
from tests.gateway.store.stored import lines, merge_all, table


def tags_of(store: Store) -> dict[tuple[int, int], str]:
    """(tier, start) -> the region a window is stored under; there is one only."""
    regions = {number: tags for number, *_, tags, _crc in table(store, "series")}
    rows = [((tier, start), regions[series]) for tier, start, series, *_ in table(store, "window")]
    assert len(rows) == len(dict(rows))
    return dict(rows)


def test_windows_that_late_readings_open_together_have_each_the_tags_of_their_own_time(store: Store) -> None:
    before, after = late([(1, T0 + 5, 1.0)], tiers=1), late([(1, T0 + 5 * MINUTE, 2.0)], tiers=1, version=1)
    names = (name(1, 0, region="eu"), name(1, 1, region="us"))
    store.apply([(1, [StoreEffects(T0, names, late=both(before, after))])])
    merge_all(store)
    assert tags_of(store) == {(0, T0): '{"region":"eu"}', (0, T0 + 5 * MINUTE): '{"region":"us"}'}


def test_a_window_that_opens_again_keeps_its_tags_and_is_one(store: Store) -> None:
    """As after a clock that stepped back, and a birth with other tags."""
    names = (name(1, 0, region="eu"), name(1, 1, region="us"))
    store.apply([(1, [StoreEffects(T0, names, windows=(closed(0, [(1, T0 + 5, 1.0)]),))])])
    store.apply([(2, [StoreEffects(T0, windows=(closed(0, [(1, T0 + 9, 2.0)], version=1),))])])
    assert tags_of(store) == {(0, T0): '{"region":"eu"}'}
    assert [("region=eu" in line, "sum=3.0" in line) for line in lines(store)[-1:]] == [(True, True)]


def test_a_correction_goes_to_the_tags_the_window_was_opened_with(store: Store) -> None:
    store.apply([(1, [StoreEffects(T0, (name(1, 0, region="eu"),), windows=(closed(0, [(1, T0, 1.0)]),))])])
    changed = StoreEffects(T0, (name(1, 1, region="us"),), late=late([(1, T0 + 1, 2.0)], tiers=1, version=1))
    store.apply([(2, [changed])])
    merge_all(store)
    assert len(table(store, "window")) == 1
    first, corrected = lines(store)
    assert corrected.split(" ")[0] == first.split(" ")[0]
    assert "region=eu" in corrected
