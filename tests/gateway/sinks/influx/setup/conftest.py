from collections.abc import Iterator

import pytest

from edge_gateway.sinks.influx.setup import documents
from tests.servers.influx import Influx
from tests.templates import uninstall


@pytest.fixture
def clean(influx: Influx, monkeypatch: pytest.MonkeyPatch) -> Iterator[Influx]:
    """A server without anything of the product, and templates with one dashboard, since InfluxDB is slow with many."""
    files = [path for path in documents.template_files() if not path.name.startswith("dashboard")]
    overview = [path for path in documents.template_files() if path.name == "dashboard-fleet-overview.yml"]
    monkeypatch.setattr(documents, "template_files", lambda: files + overview)
    uninstall(influx)
    yield influx
    uninstall(influx)
