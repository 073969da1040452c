# ruff: noqa: E501 - tables of messages are read line by line
from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fleet_config import yaml_source
from fleet_config.problems import ProblemsFound
from fleet_config.yaml_source import MAX_DEPTH, load_yaml, parse_value, parse_yaml

if TYPE_CHECKING:
    from pathlib import Path

# What this reader takes for a number, or refuses, although YAML 1.1 (which dumps) takes it for text.
OTHERWISE = re.compile(r"[-+]?(?:\.?[0-9][0-9.]*(?:[eE][-+]?[0-9]+)?)")

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=12).filter(
    lambda text: OTHERWISE.fullmatch(text) is None
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(allow_nan=False), texts,
    st.sampled_from(["on", "off", "yes", "no", "y", "n", "~", "null", "1:30", "0x1F", "2020-01-01", "a: b", "*x", "- "]),
)  # fmt: skip
keys = texts.filter(bool) | st.sampled_from(["on", "yes", "no", "null", "1", "<<", "=", "?"])
nested: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)


def complaints(text: str) -> list[str]:
    with pytest.raises(ProblemsFound) as found:
        parse_yaml(text, "f.yaml")
    return [str(problem) for problem in found.value.problems]


def complaint(text: str) -> str:
    every = complaints(text)
    assert len(every) == 1, every
    return every[0].removeprefix("f.yaml:")


@given(nested, st.booleans())
def test_what_pyyaml_dumps_reads_back_equal(data: Any, flow: bool) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow, sort_keys=False)
    read = parse_yaml(text, "f.yaml").data
    assert read == data
    assert _types(read) == _types(data)


def _types(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _types(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_types(inner) for inner in value]
    return type(value)


# Values whose first characters name them, so that a place in the text can be told right from wrong.
marked = st.integers(0, 10**6).map(lambda number: f"value{number}")
tree: st.SearchStrategy[Any] = st.recursive(
    marked,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4)
        | st.dictionaries(
            st.integers(0, 99).map(lambda number: f"key{number}"), inner, min_size=1, max_size=4
        )
    ),
    max_leaves=15,
)


@given(tree, st.booleans())
def test_every_value_and_key_has_its_line_and_column(data: Any, flow: bool) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow, sort_keys=False, width=30)
    lines = text.split("\n")
    document = parse_yaml(text, "f.yaml")

    def visit(value: Any, path: tuple[str | int, ...]) -> None:
        line, column = document.where(path)
        rest = lines[line - 1][column - 1 :]
        if isinstance(value, str):
            assert re.match(rf"{value}\b", rest)
        elif flow:
            assert rest[0] in "[{"
        else:
            assert rest.startswith("- " if isinstance(value, list) else f"{next(iter(value))}:")
        if path and isinstance(path[-1], str):
            line, column = document.where_key(path)
            assert lines[line - 1][column - 1 :].startswith(path[-1])
        for key, inner in value.items() if isinstance(value, dict) else ():
            visit(inner, (*path, key))
        for index, inner in enumerate(value) if isinstance(value, list) else ():
            visit(inner, (*path, index))

    visit(data, ())


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "y", "n", "On", "YES", "0x1F", "0o17", "1_000", "2020-01-01",
                                  "06:00", "1.2.3", "1e", "=", "-", "+", "."])  # fmt: skip
def test_words_that_yaml_1_1_converts_are_text(word: str) -> None:
    assert parse_yaml(f"a: [{word}, x]", "f").data == {"a": [word, "x"]}


@pytest.mark.parametrize(("plain", "value"), [
    ("1", 1), ("-7", -7), ("+7", 7), ("0", 0), ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("5.", 5.0),
    ("true", True), ("False", False), ("null", None), ("~", None), ("", None), (".inf", math.inf), ("-.INF", -math.inf),
])  # fmt: skip
def test_plain_scalars_follow_the_core_schema(plain: str, value: Any) -> None:
    read = parse_yaml(f"a: {plain}", "f").data["a"]
    assert (read, type(read)) == (value, type(value))


def test_nan_is_a_number() -> None:
    assert math.isnan(parse_yaml("a: .nan", "f").data["a"])


def test_keys_are_always_text() -> None:
    assert parse_yaml("on: 1\n42: 2\nnull: 3\n007: 4", "f").data == {"on": 1, "42": 2, "null": 3, "007": 4}


def test_quoted_numbers_stay_text() -> None:
    assert parse_yaml("a: '1:30'\nb: \"010\"\nc: '5'", "f").data == {"a": "1:30", "b": "010", "c": "5"}


@pytest.mark.parametrize(("text", "expected"), [
    ("a: 1:30", "1:4: '1:30' would be read as a number to the base 60; write 90s, or '1:30' in quotes for text"),
    ("a: 12:30:00", "1:4: '12:30:00' would be read as a number to the base 60; write 12h30m, or '12:30:00' in quotes for text"),
    ("a: 010", "1:4: '010' is a number with a leading zero; write '010' in quotes for text, or 10"),
    ("a: 1e999", "1:4: '1e999' is too large for a number; write .inf if that is meant"),
    ("a: 1\nb: 2\na: 3", "3:1: duplicate key 'a'; it is already on line 1"),
    ("a: *b", "1:4: '*b' would be a YAML alias, which is not supported; text that begins with '*' must be put in quotes"),
    ("a: &b c", "1:4: '&b' would be a YAML anchor, which is not supported; text that begins with '&' must be put in quotes"),
    ("a: !!int 5", "1:4: the YAML tag '!!int' is not supported; text that begins with '!' must be put in quotes"),
    ("<<: {a: 1}", "1:1: merge keys ('<<') are not supported; write the keys out"),
    ("a: 1\n---\nb: 1", "2:1: a second document; a file contains one, so remove the '---'"),
    ("%YAML 1.1\n---\na: 1", "1:1: YAML directives ('%…') are not supported; remove them"),
    ("a: {{ device }}", "1:5: a list or a mapping cannot be a key; text that begins with '{' or '[' must be put in quotes"),
    ("a:\n\t- b", "2:1: a tab; indent with spaces"),
    ("a: b: c", "1:5: a ':' is not allowed here; check the indentation, or put text that contains ': ' in quotes"),
    ("a: 'x\nb: 2", "1:4: the closing quote is missing"),
    ("a: [1, 2\n", "1:4: a ',' or the closing ']' of a list is missing"),
    ("a: {b: 1\n", "1:4: a ',' or the closing '}' of a mapping is missing"),
    ("a: @x", "1:4: text cannot begin with '@'; put it in quotes"),
    ('a: "\\q"', "1:6: '\\q' means nothing in double quotes; use single quotes"),
    ("a:\n  - b\n c: d", "3:2: the indentation does not fit what is above, or text goes on after a closing quote (it begins on line 1)"),
    (": x", "1:1: a ':' without a key before it"),
    ("'': x", "1:1: an empty key; a key is a name before the ':'"),
    ("a: x\x00", "1:5: the character U+0000 is not allowed in YAML"),
    ("a: " + "9" * 31, "1:4: a number of 31 digits; at most 30 are allowed, or put it in quotes for text"),
    ("", "1:1: the file is empty"),
    ("# nothing\n", "1:1: the file is empty"),
])  # fmt: skip
@pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml_source.FAST_LOADER])
def test_errors_say_where_and_what_to_do(
    text: str, expected: str, loader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml_source, "FAST_LOADER", loader)
    assert complaint(text) == expected


@pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml_source.FAST_LOADER])
def test_half_a_surrogate_pair_is_refused(loader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_source, "FAST_LOADER", loader)
    assert complaint('a: "\\ud800"').endswith(": half a surrogate pair; write the character itself")


def test_all_mistakes_are_reported_at_once() -> None:
    every = complaints("a: 1:30\na: 2\nb: &x 5\nc: [010]\n")
    assert [problem.split(":")[1:3] for problem in every] == [["1", "4"], ["2", "1"], ["3", "4"], ["4", "5"]]


def test_depth_is_limited_in_any_style() -> None:
    fits = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse_yaml(fits, "f").data is not None
    assert complaint("[" * 100_000) == f"1:{MAX_DEPTH + 1}: nested deeper than {MAX_DEPTH} levels"
    assert "nested deeper" in complaint("- " * 500 + "x")


@given(st.text(max_size=60) | st.text(st.sampled_from("ab:-[]{}'\"|>&*!%@#, \n\t?\\"), max_size=60))
def test_any_text_is_data_or_problems(text: str) -> None:
    try:
        parse_yaml(text, "f.yaml")
    except ProblemsFound as found:
        lines = text.removeprefix("\ufeff").split("\n")
        for problem in found.problems:
            assert (
                1 <= problem.line <= len(lines) + 1
                or "\r" in text
                or "\x85" in text
                or "\u2028" in text
                or "\u2029" in text
            )
            assert problem.column >= 1
            assert problem.message


class TestFiles:
    def test_a_byte_order_mark_is_not_part_of_the_text(self, tmp_path: Path) -> None:
        path = tmp_path / "a.yaml"
        path.write_bytes(b"\xef\xbb\xbfa: 1\nb: x")
        document = load_yaml(path)
        assert document.data == {"a": 1, "b": "x"}
        assert document.where(("a",)) == (1, 4)

    @pytest.mark.parametrize(("content", "expected"), [
        (b"a: 1\nb: \xff", "2:4: not UTF-8: the byte 0xFF; save the file as UTF-8"),
        (b"\xc3\xa4: 1\nxy\xc3", "2:3: not UTF-8: the byte 0xC3; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "1:1: not UTF-8 but UTF-16; save the file as UTF-8"),
        (b"", "1:1: the file is empty"),
        (b"#" * ((1 << 20) + 1), " larger than 1 MiB"),
    ])  # fmt: skip
    def test_files_that_are_not_utf_8_or_too_large_are_refused(
        self, tmp_path: Path, content: bytes, expected: str
    ) -> None:
        path = tmp_path / "a.yaml"
        path.write_bytes(content)
        with pytest.raises(ProblemsFound) as found:
            load_yaml(path, name="a.yaml")
        assert str(found.value) == f"a.yaml:{expected}"

    def test_a_missing_file_and_a_directory_are_refused(self, tmp_path: Path) -> None:
        for path, expected in (
            (tmp_path / "none.yaml", "no such file"),
            (tmp_path, "is a directory; it must be a file"),
        ):
            with pytest.raises(ProblemsFound) as found:
                load_yaml(path)
            assert str(found.value) == f"{path}: {expected}"


def test_the_problems_of_a_value_that_is_no_files_have_no_position() -> None:
    with pytest.raises(ProblemsFound) as found:
        parse_value("[1,\n 2", "$VALUE")
    assert str(found.value) == "$VALUE: a ',' or the closing ']' of a list is missing"
    document = parse_value("{a: {b: [1, 2]}}", "--set x")
    assert document.data == {"a": {"b": [1, 2]}}
    for path in ((), ("a",), ("a", "b", 1)):
        assert str(document.problem(path, "odd")) == "--set x: odd"
        assert str(document.problem(path, "odd", key=True)) == "--set x: odd"
