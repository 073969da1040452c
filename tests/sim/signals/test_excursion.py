# ruff: noqa: E501 - metrics of one line are read as one line
"""Excursions: as frequent as said, and each of them a label."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.metrics_under_test import HOUR, START, Run, scenario


class TestExcursions:
    MADE = "a: {model: constant, value: 25, warning: 35, critical: 45, excursions: {warning: 15%, critical: 5%, stay: 1m}}"

    def test_shares_and_heights(self) -> None:
        run = Run(scenario(self.MADE, count=300))
        values = np.array([[message["a"] for message in run.at(ms)] for ms in range(0, 2 * HOUR, 10_000)])
        assert (values > 40).mean() == pytest.approx(0.05, abs=0.01)
        assert ((values > 33) & (values < 37)).mean() == pytest.approx(0.15, abs=0.015)
        assert (values == 25).mean() == pytest.approx(0.8, abs=0.02)
        assert values.max() <= 25 + 20 * 1.1

    def test_every_excursion_is_a_label_and_every_label_an_excursion(self) -> None:
        run = Run(scenario(self.MADE, count=30))
        hour = [(ms, run.at(ms)) for ms in range(0, HOUR, 1000)]
        labels = run.signals.episodes(START, START + HOUR)
        assert {label.level for label in labels} == {"warning", "critical"}
        for ms, messages in hour:
            on = {label.row: label for label in labels if label.from_ms < START + ms < label.until_ms}
            for row, message in enumerate(messages):
                assert (message["a"] > 25) == (row in on)
        for label in labels:
            middle = (label.from_ms + label.until_ms) // 2
            if START <= middle < START + HOUR:
                top = 45 if label.level == "critical" else 35
                assert hour[(middle - START) // 1000][1][label.row]["a"] == pytest.approx(
                    25 + (top - 25) * label.peak
                )

    @given(st.lists(st.integers(1, 600_000), min_size=1, max_size=8))
    @settings(max_examples=30, deadline=None)
    def test_each_label_is_given_once_however_the_time_is_cut(self, steps: list[int]) -> None:
        run = Run(scenario(self.MADE, count=10))
        at, pieces = 0, []
        for until in (START + int(each) for each in np.cumsum(steps)):
            pieces += run.signals.episodes(at, until)
            at = until
        assert sorted(pieces) == sorted(run.signals.episodes(0, at))
        assert len(pieces) == len(set(pieces))
        assert all(piece.until_ms > START for piece in pieces)
