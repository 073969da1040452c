from collections.abc import Iterator

import pytest

from tests.servers.influx import Influx
from tests.templates import uninstall


@pytest.fixture
def clean(influx: Influx) -> Iterator[Influx]:
    """A server without anything of the product."""
    uninstall(influx)
    yield influx
    uninstall(influx)
