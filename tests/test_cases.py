"""The golden cases: each folder of `tests/cases/fold` is a configuration, an input and the output that is due."""

from pathlib import Path

import pytest

from tests import golden


@pytest.mark.parametrize("name", golden.names())
def test_a_case_leads_to_what_is_due(name: str, tmp_path: Path) -> None:
    case = golden.CASES / name
    due = golden.expected(case)
    assert due != golden.Outcome(), "a case without expected.yaml shows nothing"
    assert golden.played(case, tmp_path) == due


def test_a_case_holds_only_files_that_are_read() -> None:
    known = {"gateway.yaml", "rules.yaml", "input.yaml", "expected.yaml"}
    assert {path.name for path in golden.CASES.glob("*/*")} <= known
