"""Where a character of a YAML scalar is in the file, whatever the style of the scalar."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.rules.files.scalar_position import position_in_scalar
from fleet_config.yaml_source import parse_yaml


@pytest.mark.parametrize(
    ("source", "found", "position"),
    [
        ("key: ab*c", "*", (1, 8)),
        ("key: 'it''s *'", "*", (1, 13)),
        ('key: "\\x41\\u0042\\n *"', "*", (1, 20)),
        ("key: ab\n  cd *", "*", (2, 6)),
        ("key: 'ab\n  cd *'", "*", (2, 6)),
        ('key: "ab\n  cd *"', "*", (2, 6)),
        ("key: |\n  ab\n  cd *\n", "*", (3, 6)),
        ("key: >\n  ab\n  cd *\n", "*", (3, 6)),
    ],
)
def test_styles(source: str, found: str, position: tuple[int, int]) -> None:
    document = parse_yaml(source, "f")
    offset = document.data["key"].index(found)
    assert position_in_scalar(source, *document.where(("key",)), offset) == position


@pytest.mark.parametrize(
    ("source", "position"),
    [
        ("key: ab", (1, 8)),
        ("key: 'ab'", (1, 9)),
        ('key: "ab"', (1, 9)),
        ("key: |\n  ab", (2, 5)),
        ("key: |", (1, 7)),
        ("key: 'ab", (1, 9)),
    ],
)
def test_past_the_end(source: str, position: tuple[int, int]) -> None:
    assert position_in_scalar(source, 1, 6, 99) == position


def test_a_scalar_without_characters() -> None:
    assert position_in_scalar("key: ", 1, 6, 0) == (1, 6)


_TEXTS = st.text(st.sampled_from("ab 1+<'\"\\#:,[]{}&*!|>%é\t"), min_size=1, max_size=12).filter(
    lambda text: text == text.strip()
)


@given(text=_TEXTS, before=st.integers(0, 3), data=st.data())
def test_positions_in_quoted_scalars(text: str, before: int, data: st.DataObject) -> None:
    quote = data.draw(st.sampled_from("'\""))
    written = (
        text.replace("'", "''")
        if quote == "'"
        else text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    )
    source = "\n" * before + f"key: {quote}{written}{quote}\n"
    document = parse_yaml(source, "f")
    assert document.data["key"] == text
    for offset, character in enumerate(text):
        line, column = position_in_scalar(source, *document.where(("key",)), offset)
        found = source.split("\n")[line - 1][column - 1]
        assert line == before + 1
        assert found == character or (found == "\\" and quote == '"')
