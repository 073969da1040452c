"""The proof of edits sees a reload that is missing, one too many and one that takes long; its editors write files."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from edge_gateway.rules.files.load import load_rules
from fleet_config.problems import ProblemsFound
from tests.proofs.edits import editors
from tests.proofs.edits.editors import BROKEN, EDITORS, FIELD, INSIDE, Editor, extra_text, field_text
from tests.proofs.edits.proof import judge_pauses, judge_reloads
from tests.proofs.proof import Findings


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(editors, "PIECES", (0.0,))
    directory = tmp_path / "rules"
    directory.mkdir()
    (directory / FIELD).write_text(field_text(random.Random(0)))
    return directory


@pytest.mark.parametrize("editor", EDITORS)
def test_every_editor_leaves_the_whole_text(rules: Path, editor: Editor) -> None:
    chance = random.Random(1)
    for text in (extra_text(chance), field_text(chance), extra_text(chance)):
        editor(rules / FIELD, text, chance)
        assert (rules / FIELD).read_text() == text
        assert load_rules(rules).rules


def test_a_checkout_is_the_files_as_they_were(rules: Path) -> None:
    repository, chance = editors.Repository(rules), random.Random(1)
    first, text = repository.commit(), (rules / FIELD).read_text()
    editors.swap_symlink(rules / FIELD, extra_text(chance), chance)
    repository.checkout(first)
    assert (rules / FIELD).read_text() == text


def test_no_half_of_a_file_is_valid_and_no_broken_one(rules: Path) -> None:
    text = extra_text(random.Random(1))
    for broken in (text[: text.index(INSIDE) + len(INSIDE)], *BROKEN):
        (rules / FIELD).write_text(broken)
        with pytest.raises(ProblemsFound):
            load_rules(rules)


def test_another_number_of_reloads_is_noticed() -> None:
    for counted, ok in ((6, False), (7, True), (8, True), (9, False)):
        findings = Findings()
        judge_reloads(findings, counted, 7)
        assert findings.ok is ok


def test_a_long_reload_is_noticed_and_so_is_that_none_was_measured() -> None:
    line = "rules read: 3 rules, 0123456789abcdef; taken in {} ms\n"
    for log, ok in (
        (line.format(49.9) * 2, True),
        (line.format(3.0) + line.format(50.1), False),
        ("", False),
    ):
        findings = Findings()
        judge_pauses(findings, log)
        assert findings.ok is ok
