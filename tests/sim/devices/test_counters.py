"""The counters of a run."""

import ast

import pytest

from fleet_sim.devices.counters import Counters
from tests.architecture.rooms import ROOT, files_of

COUNTED = {
    node.target.attr
    for path in files_of("fleet_sim")
    for node in ast.walk(ast.parse((ROOT / path).read_text()))
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Attribute)
}


@pytest.mark.parametrize("name", Counters().as_dict())
def test_something_counts_with_it(name: str) -> None:
    assert name in COUNTED, "a count that users see and that stays 0"


def test_durations_are_folded_once() -> None:
    counters = Counters()
    counters.lag_us.extend([50, 100_001, 200_000])
    counters.gather()
    counters.gather()
    assert (counters.overruns, counters.lag.count, counters.lag_now.count) == (2, 3, 0)
