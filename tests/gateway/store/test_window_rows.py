"""Stored windows become plain dicts, with names, rounded sums and shares in place of numbers, limbs and thousandths."""

import math

import numpy as np

from edge_gateway.records.tail import Tail
from edge_gateway.records.window_block import STATE_ROW, WINDOW_ROW
from edge_gateway.store.window_rows import state_rows, window_rows

NAMES = {7: {"device": "d1", "metric": "temp", "site": "hall", "type": "sensor"}}
MINUTE = 60_000
START = 1_767_225_600_000
SEVEN = 7 << 1074
"""7.0 in units of 2⁻¹⁰⁷⁴."""


def stored(tail: bytes = b"", **fields: float) -> bytes:
    row = np.zeros(1, WINDOW_ROW)
    for name, value in ({"series": 7, "start": START, "p95": math.nan} | fields).items():
        row[name] = value
    return row.tobytes() + tail


def test_a_window_has_its_names_its_range_and_its_quality() -> None:
    data = stored(count=2, min=-1.5, max=1.5, first=-1.5, last=1.5, quality=1_500)
    assert list(window_rows([(7, 3, data)], NAMES, MINUTE)) == [
        {
            **NAMES[7],
            "start": START,
            "every": MINUTE,
            "count": 2,
            "sum": 0.0,
            "min": -1.5,
            "max": 1.5,
            "first": -1.5,
            "last": 1.5,
            "quality": 0.75,
            "revision": 3,
            "p95": None,
        }
    ]


def test_a_sum_beyond_the_limbs_is_taken_from_the_tail_of_its_own_window() -> None:
    part = [
        (7, 0, stored(count=1)),
        (7, 0, stored(Tail(SEVEN).pack(), count=1, start=START + MINUTE)),
    ]
    assert [row["sum"] for row in window_rows(part, NAMES, MINUTE)] == [0.0, 7.0]


def test_a_p95_is_given_where_the_window_has_one() -> None:
    (row,) = window_rows([(7, 0, stored(count=1, p95=4.25))], NAMES, MINUTE)
    assert row["p95"] == 4.25


def test_a_window_of_texts_has_the_texts_behind_its_numbers() -> None:
    row = np.zeros(1, STATE_ROW)
    row["series"], row["start"], row["first"], row["last"], row["changes"] = 7, START, 1, 2, 5
    texts = {1: "open", 2: "shut"}
    assert list(state_rows([(7, 4, row.tobytes())], NAMES, texts, MINUTE)) == [
        {
            **NAMES[7],
            "start": START,
            "every": MINUTE,
            "first": "open",
            "last": "shut",
            "changes": 5,
            "revision": 4,
        }
    ]
