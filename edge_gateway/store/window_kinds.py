"""The two kinds of windows, numbers and texts: how their rows merge, and how late readings become rows."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_gateway.store.names import NameTables
from edge_gateway.store.packing import packed, unpacked
from edge_gateway.store.series_use import SeriesUse
from edge_gateway.store.stored_windows import StoredWindows
from edge_gateway.store.window_table import Packed, WindowTable
from edge_gateway.windows.merge import merge_blocks, merge_state_blocks
from edge_gateway.windows.reduce import Readings, rows_of_states, rows_of_values
from edge_gateway.windows.rows import STATE_ROW, WINDOW_ROW

Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class WindowKind:
    """Numbers or texts.

    Attributes:
        late: name of the table of late readings.
        windows: the stored windows.
        reduce: makes rows of a window length (ms), readings, and for each series number whether it has a p95.
    """

    late: str
    windows: StoredWindows
    reduce: Callable[[int, Readings, Flags], Packed]


def number_windows(db: sqlite3.Connection, names: NameTables, use: SeriesUse) -> WindowKind:
    table = WindowTable(db, "window", WINDOW_ROW, _merge_numbers)
    return WindowKind("late", StoredWindows(table, names, use), _reduce_numbers)


def text_windows(db: sqlite3.Connection, names: NameTables, use: SeriesUse) -> WindowKind:
    table = WindowTable(db, "state_window", STATE_ROW, _merge_texts)
    return WindowKind("late_state", StoredWindows(table, names, use), _reduce_texts)


def _merge_numbers(one: Packed, other: Packed) -> Packed:
    return packed(merge_blocks(unpacked(one), unpacked(other)))


def _merge_texts(one: Packed, other: Packed) -> Packed:
    return packed(merge_state_blocks(unpacked(one), unpacked(other)))


def _reduce_numbers(every: int, readings: Readings, p95: Flags) -> Packed:
    return packed(rows_of_values(every, readings, p95))


def _reduce_texts(every: int, readings: Readings, p95: Flags) -> Packed:  # noqa: ARG001 - texts have no p95
    return packed(rows_of_states(every, readings))
