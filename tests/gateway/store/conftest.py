"""A store on disk, closed with its test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_gateway.store.database import Store
from tests.gateway.store.stored import opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    one = opened(tmp_path)
    yield one
    one.close()
