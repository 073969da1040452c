"""promtool's notation of input series."""

from __future__ import annotations

import pytest

from edge_gateway.rules.language.tokens import ExpressionError
from edge_gateway.rules.testing.series_notation import MAX_SAMPLES, samples


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-18x6", [-18.0] * 7),
        ("1+2x3 9-1x2", [1, 3, 5, 7, 9, 8, 7]),
        ("-2-3x1 -2+4x1", [-2, -5, -2, 2]),
        ("_ 5 _x3 stale", [None, 5, None, None, None, None]),
        ("1e3 .5x1", [1000, 0.5, 0.5]),
        ("'open'x1 \"a b\" true", ["open", "open", "a b", "true"]),
        ("", []),
    ],
)
def test_samples(text: str, expected: list[float | str | None]) -> None:
    assert samples(text) == expected


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1 2+3", 2),
        ("1 x3", 2),
        ("5 'open", 2),
        ("1x", 0),
        ("1x99999999999", 0),
        ("1 1e999", 2),
        ("1e308+1e308x9", 0),
        (f"1x{MAX_SAMPLES - 1} 1", 8 + 1),
    ],
)
def test_errors_have_a_position(text: str, at: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        samples(text)
    assert caught.value.at == at
