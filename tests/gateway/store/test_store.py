"""The store as a whole: transactions, opening, and damage."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_gateway.records import codec
from edge_gateway.records.store_effects import (
    effects_from_tree,
)
from edge_gateway.store.store import Store
from tests.gateway.store.fleet import (
    DAY,
    T0,
)
from tests.gateway.store.stored import everything, opened, rich, table


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    one = opened(tmp_path)
    yield one
    one.close()


def test_records_are_applied_once_whatever_is_repeated(tmp_path: Path) -> None:
    once, again = opened(tmp_path / "once"), opened(tmp_path / "again")
    for number in range(1, 6):
        once.apply([(number, [rich(number)])])
    for first, last in ((1, 2), (1, 1), (2, 4), (1, 5), (5, 5)):
        again.apply([(number, [rich(number)]) for number in range(first, last + 1)])
    assert again.applied == 5
    assert everything(once) == everything(again)
    assert len([row for row in table(once, "window") if row[0] == 0]) == 5 * 4


def test_a_crash_inside_a_transaction_leaves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    store.apply([(1, [rich(1)])])
    before = everything(store)
    for part, method in (
        ("_outbox", "enforce"),
        ("_side_tables", "alerts"),
        ("_numbers", "add"),
        ("_lines", "windows"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(getattr(store, part), method, lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                store.apply([(2, [rich(2)])])
        assert everything(store) == before
        assert store.applied == 1
    store.apply([(2, [rich(2)])])
    other = opened(tmp_path / "other")
    other.apply([(1, [rich(1)]), (2, [rich(2)])])
    assert everything(store) == everything(other)
    assert store.facts() == other.facts()


def test_effects_survive_the_journal_record_unchanged(tmp_path: Path) -> None:
    record = codec.decode(codec.encode({"effects": [rich(1), rich(2)]}))
    direct, replayed = opened(tmp_path / "a"), opened(tmp_path / "b")
    direct.apply([(1, [rich(1), rich(2)])])
    replayed.apply([(1, [effects_from_tree(tree) for tree in record["effects"]])])
    assert everything(direct) == everything(replayed)


def test_what_is_stored_is_there_after_opening_again(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.apply([(n, [rich(n)]) for n in range(1, 4)])
    facts, tables = store.facts(), everything(store)
    store.close()
    again = opened(tmp_path, floor=T0 + DAY)
    assert not again.opened.created
    assert again.facts() == facts
    assert everything(again) == tables


@pytest.mark.parametrize("damage", ["garbage", "pages"])
def test_a_damaged_store_is_set_aside_and_a_new_one_made(tmp_path: Path, damage: str) -> None:
    store = opened(tmp_path)
    store.apply([(n, [rich(n)]) for n in range(1, 30)])
    store.sync()
    store.close()
    path = store.path
    data = bytearray(path.read_bytes())
    spoilt = slice(0, 100) if damage == "garbage" else slice(4096, len(data))
    data[spoilt] = b"\x55" * len(data[spoilt])
    path.write_bytes(data)
    new = opened(tmp_path, at=123, floor=T0 + 5)
    assert new.opened.created
    assert new.opened.set_aside == "store.sqlite.corrupt-123"
    assert new.opened.damage
    assert (tmp_path / "store.sqlite.corrupt-123").stat().st_size > 0
    assert (new.applied, new.floor) == (0, T0 + 5)
    new.apply([(30, [rich(30)])])
    assert new.applied == 30
