"""Tails by key and by place are the same tails."""

from __future__ import annotations

import numpy as np

from edge_gateway.store.packing import packed, unpacked
from edge_gateway.store.window_table import Packed
from edge_gateway.windows.reduce import rows_of_values
from edge_gateway.windows.rows import Block
from tests.gateway.store.fleet import MINUTE, T0, columns

READINGS = [(s, T0 + n, 1e300 * (s == 1) + s * n) for s in (1, 2, 3) for n in range(70)]


def test_a_block_is_packed_and_unpacked_to_itself() -> None:
    block = rows_of_values(MINUTE, columns(READINGS), np.array([False, False, True, False]))
    assert len(block.rows) == 3
    assert block.tails
    found = packed(block)
    assert len(found.tails) == len(block.tails)
    again = unpacked(found)
    assert again.rows is block.rows
    assert {key: tail.pack() for key, tail in again.tails.items()} == {
        key: tail.pack() for key, tail in block.tails.items()
    }


def test_rows_without_tails_stay_as_they_are() -> None:
    rows = rows_of_values(MINUTE, columns([(1, T0, 1.0)]), np.zeros(0, np.bool_)).rows
    assert packed(Block(rows)).tails == {}
    assert unpacked(Packed(rows)).tails == {}
