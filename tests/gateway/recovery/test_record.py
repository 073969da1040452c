"""A record names the fold that made it; another one is refused with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.errors import OtherSpool
from edge_gateway.fold.pipeline import FOLD
from edge_gateway.journal.segments import Journal
from edge_gateway.records import codec
from edge_gateway.recovery.record import folds, record_tree, refuse_other_fold
from fleet_console.version import VERSION


def journal_of(place: Path, *bodies: bytes) -> None:
    journal = Journal.open(place)
    for number, body in enumerate(bodies, start=1):
        journal.append(number, body)
    journal.sync()
    journal.close()


def test_a_record_names_its_fold_and_its_program() -> None:
    tree = record_tree([], [], [])
    assert (tree["fold"], tree["by"]) == (FOLD, VERSION)
    assert folds(tree)
    assert not folds({**tree, "fold": FOLD + 1})


def test_records_of_this_fold_damage_and_a_missing_journal_are_not_refused(tmp_path: Path) -> None:
    refuse_other_fold(tmp_path / "missing", -1)
    journal_of(tmp_path, codec.encode(record_tree([], [], [])), b"damage", codec.encode([1]))
    refuse_other_fold(tmp_path, -1)


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"fold": FOLD + 1, "by": "9.9.9"}, "in no checkpoint yet.*start version 9.9.9 once and stop it"),
        ({"inputs": []}, "start that version once and stop it, then start this one; nothing was changed"),
    ],
)
def test_records_of_another_fold_are_refused_unless_a_checkpoint_has_them(
    tmp_path: Path, record: dict[str, object], told: str
) -> None:
    journal_of(tmp_path, codec.encode(record_tree([], [], [])), codec.encode(record))
    with pytest.raises(OtherSpool, match=told):
        refuse_other_fold(tmp_path, 1)
    refuse_other_fold(tmp_path, 2)
