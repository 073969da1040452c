"""A plugin of pytest in a mutant's run: the likeliest tests first, and no search for the smallest failing example."""

import os
import sys

import pytest
from hypothesis import HealthCheck, Phase, settings

USUAL_DEPTH = sys.getrecursionlimit()


def pytest_configure() -> None:
    """A failure is enough: to shrink an example may take a minute. mutmut runs the tests twice in one process.

    A call of a mutated function is three calls, through which recursion must be as deep as without.
    """
    sys.setrecursionlimit(3 * USUAL_DEPTH)
    settings.register_profile(
        "mutants",
        settings.get_profile("any machine"),
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
        suppress_health_check=[HealthCheck.differing_executors],
    )
    settings.load_profile("mutants")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`edge_gateway.fold.effects.xǁEffectsǁfor_store__mutmut_3` puts the tests of `test_effects.py` first."""
    *_, module, _ = ["", "", *os.environ.get("MUTANT_UNDER_TEST", "").split(".")]
    items.sort(key=lambda item: (item.path.stem != f"test_{module}", item.nodeid))
