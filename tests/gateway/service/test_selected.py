"""A selection that can select nothing says which part of it does not."""

from __future__ import annotations

import pytest

from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records.inputs import Reload
from edge_gateway.rules.language.ruleset import RuleSet
from edge_gateway.service.selected import matches_nothing
from tests.gateway.fold.given import batch, birth, moment, settings
from tests.gateway.rules.muting.muted import hot


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ({"site": ["berlin"]}, ""),
        ({"alert": ["Hot"], "subject": ["f1"]}, ""),
        ({"level": ["warning"], "line": ["L*"]}, ""),
        ({"site": ["berln"]}, "no device with site 'berln' is known here; did you mean 'berlin'?"),
        ({"alert": ["Hott"]}, "no rule 'Hott' is known here; did you mean 'Hot'?"),
        ({"alert": ["Hot"], "subject": ["g7"]}, "no subject 'g7' is known here"),
        ({"level": ["warn"]}, "no level 'warn' is known here; did you mean 'warning'?"),
        ({"lin": ["L1"]}, "no device has a tag 'lin'; did you mean 'line'?"),
        ({"line": ["L1"], "device": ["f2"]}, "no device has all of line, device like this"),
    ],
)
def test_what_is_wrong_is_named(match: dict[str, list[str]], said: str) -> None:
    pipeline = build_pipeline("gw", settings())
    pipeline.fold(Reload(moment(0), RuleSet((hot(),)).to_plain()))
    pipeline.fold(batch(0, birth("f1", line="L1"), birth("f2")))
    assert matches_nothing(pipeline, match) == said
