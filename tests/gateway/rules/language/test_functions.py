"""The table of functions: every one has a family or a computation, and a name that nothing else has."""

from __future__ import annotations

import pytest

from edge_gateway.rules.language.analysis import analyse
from edge_gateway.rules.language.functions import FAMILY, FUNCTIONS, KEYWORDS, RESERVED, UNSUPPORTED
from edge_gateway.rules.language.tokens import ExpressionError


def test_the_usage_of_every_function_is_a_valid_expression() -> None:
    for signature in FUNCTIONS.values():
        within = signature.usage.startswith("no_data(")
        analyse(f"share({signature.usage})" if within else signature.usage)


def test_every_range_function_has_a_family() -> None:
    ranged = {name for name, signature in FUNCTIONS.items() if signature.ranged}
    assert FAMILY.keys() == ranged - {"no_data"}


def test_names_are_reserved_once() -> None:
    assert len(RESERVED) == len(KEYWORDS) + len(FUNCTIONS) + len(UNSUPPORTED)


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_an_unsupported_function_is_refused_by_name(name: str) -> None:
    with pytest.raises(ExpressionError, match=f"`{name}` is not supported in this version"):
        analyse(f"1 + {name}(temperature, 5m)")
