"""One record of an alert transition and of a command: it survives the journal, and people get one row of it."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import pytest

from edge_gateway.records import codec
from edge_gateway.records.alerts import CommandChange, CommandIntent, alert_id, alert_row, by_urgency
from edge_gateway.records.store_effects import StoreEffects, effects_from_tree
from tests.gateway.records.transitions import WALL, too_warm

FULL = {
    "was": "warning",
    "backlog": True,
    "notify": True,
    "labels": {"line": "L1"},
    "annotations": {"summary": "too warm"},
    "commands": (CommandIntent("on", "fan", {"speed": 3, "on": True}, 60_000, 5_000, 2, WALL, closing=True),),
}
NOTHING_KNOWN = {"value": None, "limit": None}


@pytest.mark.parametrize("changes", [{}, FULL, NOTHING_KNOWN], ids=["usual", "full", "nothing known"])
def test_a_journaled_transition_is_the_one_the_fold_made(changes: dict[str, Any]) -> None:
    alert = too_warm(**changes)
    tree = codec.decode(codec.encode(StoreEffects(WALL, alerts=(alert,))))
    assert effects_from_tree(tree).alerts == (alert,)


@pytest.mark.parametrize(
    "change",
    [
        CommandChange("c1", None, "frz-1", "fan", {}, "expired", WALL),
        CommandChange("c1", WALL, "frz-1", "fan", {"speed": 3.5}, "failed", WALL + 5, "too large"),
    ],
    ids=["never sent", "sent"],
)
def test_a_journaled_command_change_is_the_one_the_fold_made(change: CommandChange) -> None:
    tree = codec.decode(codec.encode(StoreEffects(WALL, commands=(change,))))
    assert effects_from_tree(tree).commands == (change,)


def test_a_row_names_everything_people_may_ask_for_even_where_it_is_unknown() -> None:
    assert alert_row(too_warm(**FULL | NOTHING_KNOWN)) == {
        "id": "a1",
        "group": "cold",
        "rule": "TooWarm",
        "level": "critical",
        "was": "warning",
        "state": "firing",
        "event": "firing",
        "cause": "reading",
        "subject": "frz-1",
        "site": "berlin",
        "metric": "temperature",
        "value": None,
        "limit": None,
        "at": WALL,
        "boot": 3,
        "seq": 7,
        "labels": {"line": "L1"},
        "annotations": {"summary": "too warm"},
        "suppressed": (),
        "held": (),
        "acked": False,
    }


def test_the_highest_level_comes_first_and_then_the_newest() -> None:
    rows = [{"level": level, "at": at} for level in ("warning", "info", "critical") for at in (1, 2)]
    assert [(row["level"], row["at"]) for row in sorted(rows, key=by_urgency)] == [
        ("critical", 2), ("critical", 1), ("warning", 2), ("warning", 1), ("info", 2), ("info", 1),
    ]  # fmt: skip


def test_an_id_tells_alerts_apart_by_rule_device_onset_and_record() -> None:
    ids = {
        alert_id(rule, device, onset, record)
        for rule in ("r", "ur")
        for device in ("d", "e")
        for onset in (WALL, WALL + 1)
        for record in (1, 11)
    }
    assert len(ids) == 2**4
    text = f"r\0d\0{WALL}\0007".encode()
    assert alert_id("r", "d", WALL, 7) == blake2b(text, digest_size=8).hexdigest(), "of any version the same"
