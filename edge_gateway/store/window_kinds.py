"""The two kinds of windows, numbers and texts: how their rows merge, and how late readings become rows."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_gateway.records.window_block import STATE_ROW, WINDOW_ROW, WindowBlock
from edge_gateway.store.names import NameTables
from edge_gateway.store.series_use import SeriesUse
from edge_gateway.store.stored_windows import StoredWindows
from edge_gateway.store.window_table import WindowTable
from edge_gateway.windows.merge import merge_blocks, merge_state_blocks
from edge_gateway.windows.reduce import Readings, rows_of_states, rows_of_values

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
    reduce: Callable[[int, Readings, Flags], WindowBlock]


def number_windows(db: sqlite3.Connection, names: NameTables, use: SeriesUse) -> WindowKind:
    table = WindowTable(db, "window", WINDOW_ROW, merge_blocks)
    return WindowKind("late", StoredWindows(table, names, use), rows_of_values)


def text_windows(db: sqlite3.Connection, names: NameTables, use: SeriesUse) -> WindowKind:
    table = WindowTable(db, "state_window", STATE_ROW, merge_state_blocks)
    return WindowKind("late_state", StoredWindows(table, names, use), _reduce_texts)


def _reduce_texts(every: int, readings: Readings, p95: Flags) -> WindowBlock:  # noqa: ARG001 - texts have no p95
    return rows_of_states(every, readings)
