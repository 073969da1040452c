"""Numbers and texts: how readings of each become rows, and how these merge with what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_gateway.records.store_effects import Kind
from edge_gateway.store.coverage import NOTHING_HELD
from edge_gateway.store.database import Store
from edge_gateway.store.window_kinds import WindowKind, number_windows, text_windows
from tests.gateway.store.fleet import MINUTE, T0, columns, named
from tests.gateway.store.stored import opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    one = opened(tmp_path)
    one.apply([(1, [named()])])
    one._db.execute("BEGIN")
    yield one
    one.close()


def merged(kind: WindowKind, *values: float) -> tuple[int, float, float]:
    """Merge readings one after the other into one window; return its count or changes, first and last."""
    p95 = np.zeros(2, np.bool_)
    for at, value in enumerate(values):
        rows = kind.reduce(MINUTE, columns([(1, T0 + at, value)]), p95)
        stored = kind.windows.merge(0, rows, Kind.FIRST, NOTHING_HELD).stored
    (row,) = stored.rows
    return int(row["count" if kind.late == "late" else "changes"]), float(row["first"]), float(row["last"])


def test_numbers_merge_to_their_count(store: Store) -> None:
    assert merged(number_windows(store._db, store._names, store._use), 3.0, 1.0, 2.0) == (3, 3.0, 2.0)


def test_texts_merge_to_their_changes(store: Store) -> None:
    assert merged(text_windows(store._db, store._names, store._use), 1.0, 1.0, 2.0) == (1, 1.0, 2.0)
