"""The rules of `given.py`, as an input of a fold carries them."""

from pathlib import Path
from typing import Any

import pytest

from edge_gateway.rules.files.load import load_rules
from tests.gateway.fold.given import RULES


@pytest.fixture
def rules(tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    return load_rules(file).to_plain()
