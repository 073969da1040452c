"""What the report takes from the store, the fold and the running parts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_gateway.fold.settings import build_pipeline
from edge_gateway.recovery.settings import fold_settings
from edge_gateway.status.counters import AllCounters
from tests.gateway.status.reports import CONFIG, report_of, store_facts


@pytest.mark.parametrize("counters", [{"late_too_late": 3, "late_merged": 4, "from_a_newer_program": 1}])
def test_what_the_store_counts_is_in_the_report_and_corrects_the_values(counters: dict[str, int]) -> None:
    made = report_of(facts=store_facts(counters=counters))
    assert (made.counters.late_too_late, made.counters.late_merged) == (3, 4)
    assert (made.values.too_late, made.values.accepted) == (3, -3)
    assert made.values.values == made.values.accepted + made.values.too_late


def test_every_event_the_fold_counts_is_declared() -> None:
    pipeline = build_pipeline("gw", fold_settings(CONFIG))
    for reason in ("bad_topic", "wrong_site", "foreign_site", "too_many_devices"):
        pipeline.registry.count_refused(reason)
    for reason in ("too_many_series", "too_many_texts"):
        pipeline.registry.count_refused(reason, 2)
    counters = report_of(pipeline=pipeline).counters
    assert (counters.refused_bad_topic, counters.refused_too_many_texts) == (1, 2)


def test_every_event_the_store_counts_is_declared() -> None:
    """What is not would be left out of the report."""
    named: set[str] = set()
    for path in (Path(__file__).parents[3] / "edge_gateway" / "store").rglob("*.py"):
        named.update(re.findall(r'ounters\.add\(\s*"(\w+)"', path.read_text()))
    assert {"late_too_late", "history_trimmed"} <= named, "the search finds them"
    assert not named - set(AllCounters.__struct_fields__)
