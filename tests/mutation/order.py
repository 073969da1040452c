"""A plugin of pytest in a mutant's run: the tests of the mutated module first, which most likely kill it."""

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`edge_gateway.fold.effects.xǁEffectsǁfor_store__mutmut_3` puts the tests of `test_effects.py` first."""
    *_, module, _ = ["", "", *os.environ.get("MUTANT_UNDER_TEST", "").split(".")]
    items.sort(key=lambda item: (item.path.stem != f"test_{module}", item.nodeid))
