"""Secrets by reference."""

from pathlib import Path

import pytest

from edge_gateway.configuration.secrets import LONGEST, Secret, parse_secret
from edge_gateway.errors import BadInput


@pytest.mark.parametrize("text", ["file:/run/secret", "env:TOKEN"])
def test_a_reference_is_parsed_and_shown_as_it_is_written(text: str) -> None:
    secret = parse_secret(text)
    assert str(secret) == text
    assert parse_secret(secret) is secret


@pytest.mark.parametrize("value", ["hunter2", "file:", "vault:hunter2", 5, None])
def test_a_literal_is_refused_without_repeating_it(value: object) -> None:
    with pytest.raises(ValueError, match="write file:/path/to/it or env:NAME_OF_IT") as refused:
        parse_secret(value)
    assert "hunter2" not in str(refused.value)


def test_a_relative_file_is_resolved_and_a_variable_is_not(tmp_path: Path) -> None:
    assert Secret("file", "token").beside(tmp_path).place == str(tmp_path / "token")
    assert Secret("file", "/etc/token").beside(tmp_path).place == "/etc/token"
    assert Secret("env", "TOKEN").beside(tmp_path) == Secret("env", "TOKEN")


@pytest.mark.parametrize(("content", "text"), [("t0ken", "t0ken"), ("t0ken\r\n", "t0ken"), ("a b\n", "a b")])
def test_a_file_is_read_without_its_line_end(tmp_path: Path, content: str, text: str) -> None:
    (tmp_path / "token").write_text(content)
    assert Secret("file", str(tmp_path / "token")).read() == text


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\n", "is empty"),
        (b"x" * (LONGEST + 1), "longer than"),
        (b"t0ken\nt0ken\n", "more than one line"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_sent_is_refused_without_repeating_it(
    tmp_path: Path, content: bytes, why: str
) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(BadInput, match=why) as refused:
        Secret("file", str(tmp_path / "token")).read()
    assert "t0ken" not in str(refused.value).replace(str(tmp_path), "")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        Secret("file", str(tmp_path / "token")).read()
    with pytest.raises(BadInput, match="env:TOKEN is not set"):
        Secret("env", "TOKEN").read({})


def test_a_variable_is_read_from_the_environment() -> None:
    assert Secret("env", "TOKEN").read({"TOKEN": "t0ken"}) == "t0ken"
