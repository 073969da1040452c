"""A match selects devices by site, id, type and tags."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_config.match import Match


@pytest.mark.parametrize(("match", "expected"), [
    ({}, True),
    ({"site": "berlin"}, True),
    ({"site": ["lyon", "berlin"]}, True),
    ({"site": "lyon"}, False),
    ({"site": "ber*", "type": "freezer"}, True),
    ({"site": "ber*", "type": "fridge"}, False),
    ({"device": "frz-0000[0-3]"}, True),
    ({"device": "frz-0000[3-9]"}, False),
    ({"device": "frz-?????"}, True),
    ({"line": "L1"}, True),
    ({"line": "l1"}, False),
    ({"line": "L"}, False),
    ({"zone": "*"}, False),
    ({"zone": "unk*"}, False),
    ({"zone": "unknown"}, True),
    ({"zone": ["A", "unknown"]}, True),
    ({"zone": "A"}, False),
    ({"site": ["x", "*lin"]}, True),
])  # fmt: skip
def test_a_match_selects_devices_by_globs_and_lists(
    match: dict[str, str | list[str]], expected: bool
) -> None:
    assert Match.of(match).matches("berlin", "frz-00002", "freezer", {"line": "L1"}) is expected


@given(st.text("ab*?[]!-", max_size=8).filter(bool), st.text("ab-*", max_size=6))
def test_a_glob_is_fnmatch_by_case(glob: str, value: str) -> None:
    assert Match.of({"line": glob}).matches("", "", "", {"line": value}) == fnmatch.fnmatchcase(value, glob)


def test_equal_matches_are_equal_and_written_back() -> None:
    match = Match.of({"site": "a", "line": ["x", "y*"]})
    assert match == Match.of({"site": ["a"], "line": ("x", "y*")})
    assert hash(match) == hash(Match.of(match.as_dict()))
    assert Match.of(match.as_dict()) == match
    assert match
    assert not Match()
