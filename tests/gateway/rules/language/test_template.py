"""Templates: what they show, and where they are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from edge_gateway.rules.language.template import parts_of, render
from edge_gateway.rules.language.tokens import ExpressionError

KNOWN = "device, devices, subject, site, type, group, rule, level, state, metric, value, limit, unit, tags.…, labels.…"
VALUES: dict[str, Any] = {"device": "d1", "value": -14.256, "limit": None, "level": "warning"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{{ device }}", "d1"),
        ("{{device}} at {{ value | round(1) }} °C", "d1 at -14.3 °C"),
        ("{{ value }}", "-14.256"),
        ("{{ value | round(0) | upper }}", "-14"),
        ("limit {{ limit }}, {{ limit | round(2) }}", "limit no data, no data"),
        ("{{ limit | upper }}", "NO DATA"),
        ("{{ level | upper }} {{ level | round(1) }} {{ device | lower }}", "WARNING warning d1"),
        ("{{ tags.line }} {{ tags.none }} {{ labels.team }} {{ labels.none }}", "L1 unknown cold no data"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert render(text, VALUES, {"team": "cold"}, {"line": "L1"}) == shown


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        (
            "{{ valu }}",
            3,
            f"unknown name 'valu'; did you mean 'value'? Use one of {KNOWN}",
        ),
        (
            "{{ device.x }}",
            3,
            f"unknown name 'device.x'; did you mean 'device'? Use one of {KNOWN}",
        ),
        (
            "{{ tags }}",
            3,
            f"unknown name 'tags'; use one of {KNOWN}",
        ),
        (
            "a {{ }}",
            4,
            f"expected one of {KNOWN}",
        ),
        ("{{ value | floor }}", 9, "unknown filter; use one of round(n), upper, lower"),
        ("a }} b", 2, "unpaired '}}'; write {{ value }}"),
        ("a {{ b", 2, "unpaired '{{'; write {{ value }}"),
    ],
)
def test_errors_have_a_position(text: str, at: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parts_of(text)
    assert caught.value.message == message
    assert caught.value.at == at
