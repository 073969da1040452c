"""Codes of texts: each text has one, none is given twice, and no device takes the room of another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.columns.strings import FALSE, GATEWAY, NO_ROOM, TRUE, StringTable
from edge_gateway.records import codec

LIMIT, SHARE = 6, 3
texts = st.sampled_from([f"t{number}" for number in range(9)])
devices = st.integers(0, 3)
steps = st.lists(
    st.tuples(st.just("code"), texts, devices | st.just(GATEWAY))
    | st.tuples(st.just("keep"), st.sets(st.integers(0, 30)))
    | st.tuples(st.just("disown"), st.sets(devices)),
    max_size=40,
)


class PlainTable:
    """What a table is to do, text by text."""

    def __init__(self) -> None:
        self.codes = {"false": FALSE, "true": TRUE}
        self.owner = {"false": GATEWAY, "true": GATEWAY}
        self.given = 2

    def owned(self, device: int) -> int:
        return sum(owner == device for owner in self.owner.values())

    def of_devices(self) -> int:
        return sum(owner != GATEWAY for owner in self.owner.values())

    def code(self, text: str, device: int) -> int:
        if text not in self.codes:
            if device != GATEWAY and (self.of_devices() >= LIMIT or self.owned(device) >= SHARE):
                return NO_ROOM
            self.codes[text], self.owner[text] = self.given, device
            self.given += 1
        return self.codes[text]

    def keep(self, used: set[int]) -> list[int]:
        gone = [text for text, code in self.codes.items() if code > TRUE and code not in used]
        for text in gone:
            del self.owner[text]
        return [self.codes.pop(text) for text in gone]

    def disown(self, gone: set[int]) -> None:
        self.owner = {text: GATEWAY if owner in gone else owner for text, owner in self.owner.items()}

    def crowded(self) -> bool:
        tight = any(2 * self.owned(device) > SHARE for device in range(4))
        return tight or 2 * self.of_devices() > LIMIT


def same(table: StringTable, plain: PlainTable) -> None:
    assert len(table) == len(plain.codes)
    assert {table.text(code): code for code in plain.codes.values()} == plain.codes
    assert table.of_devices == plain.of_devices()
    assert table.held == {device: plain.owned(device) for device in range(4) if plain.owned(device)}
    assert table.crowded() == plain.crowded()


@given(steps)
def test_it_does_what_a_plain_table_does_and_so_does_one_restored(taken: list[tuple[Any, ...]]) -> None:
    table, plain = StringTable(LIMIT, SHARE), PlainTable()
    for what, *how in taken:
        match what:
            case "code":
                assert table.code(*how) == plain.code(*how)
            case "keep":
                assert table.keep(*how).tolist() == plain.keep(*how)
            case "disown":
                (gone,) = how
                table.disown(np.array(sorted(gone), np.int64))
                plain.disown(gone)
        same(table, plain)
    again = StringTable(LIMIT, SHARE)
    again.restore(codec.decode(codec.encode(table.snapshot())))
    same(again, plain)
    assert again.code("another") == plain.code("another", GATEWAY)


def test_without_a_share_a_device_may_fill_the_table() -> None:
    table = StringTable(2)
    assert [table.code(text, 0) for text in ("a", "b", "c")] == [2, 3, NO_ROOM]
    assert table.code("c") == 4, "the gateway's own finds room"


def test_a_code_that_was_never_given_has_no_text() -> None:
    with pytest.raises(KeyError):
        StringTable(2).text(9)


def test_a_table_is_crowded_when_more_than_half_of_it_or_of_a_share_is_used() -> None:
    table, other = StringTable(6, 3), StringTable(60, 3)
    crowded = []
    for device in range(4):
        table.code(f"t{device}", device)
        crowded.append(table.crowded())
    assert crowded == [False, False, False, True]
    other.code("a", 0)
    assert not other.crowded()
    other.code("b", 0)
    assert other.crowded()


@pytest.mark.parametrize(("column", "other"), [("codes", "texts"), ("owned", "owners")])
def test_a_state_whose_columns_differ_in_length_is_refused(column: str, other: str) -> None:
    table = StringTable(6)
    table.code("t", 0)
    for cut in (column, other):
        state = table.snapshot()
        state[cut] = state[cut][:-1]
        with pytest.raises(ValueError, match="zip"):
            StringTable(6).restore(state)


def test_bools_are_known_from_the_start() -> None:
    table = StringTable(6)
    assert (table.code("false"), table.code("true"), table.code("new", 0)) == (FALSE, TRUE, 2)
    assert (table.text(FALSE), table.text(TRUE)) == ("false", "true")


def test_the_table_is_full_for_all_and_a_share_for_its_device() -> None:
    full, shared = StringTable(2, 2), StringTable(6, 2)
    assert [full.code(text, device) for device, text in enumerate("abc")] == [2, 3, NO_ROOM]
    assert [shared.code(text, 0) for text in "abc"] == [2, 3, NO_ROOM]
    assert shared.code("d", 1) == 4


def test_an_empty_tables_state_has_the_types_of_any_other() -> None:
    state = StringTable(6).snapshot()
    assert {state[name].dtype for name in ("codes", "owned", "owners")} == {np.dtype(np.int64)}


def test_a_look_at_a_text_gives_it_no_code() -> None:
    table = StringTable(10)
    assert table.known("open") is None
    assert table.known("open") is None
    assert table.known("true") == TRUE
    code = table.code("open")
    assert table.known("open") == code
