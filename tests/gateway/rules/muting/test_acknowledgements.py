"""Acknowledgements belong to an alert's id; what ended without one is listed for a day, within a bound."""

import pytest
from msgspec import structs

from edge_gateway.records.alerts import Transition
from edge_gateway.rules.muting import acknowledgements
from edge_gateway.rules.muting.acknowledgements import LISTED_FOR, Acknowledgement, Acknowledgements

KEY = ("Hot", "d")
ENDED = Transition(
    id="a1", group="g", rule="Hot", level="warning", state="resolved", event="resolved", cause="reading",
    subject="d", site="berlin", metric="t", at=1, boot=1, seq=1,
)  # fmt: skip
GIVEN = Acknowledgement("a1", "anna", "on my way", 1)


def test_one_is_of_an_id_and_ends_with_the_alert_and_as_it_escalates() -> None:
    for event, state, kept in (
        ("deescalated", "firing", True),
        ("escalated", "firing", False),
        ("resolved", "resolved", False),
    ):
        given = Acknowledgements()
        given.add(KEY, GIVEN)
        assert given.of(KEY, "a2") is None
        given.follow(KEY, structs.replace(ENDED, event=event, state=state, acked=True), 5)
        assert (given.of(KEY, "a1") is not None) is kept
        assert not list(given.ended(5))


def test_an_alert_that_ends_without_one_is_listed_of_each_subject_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed = Acknowledgements()
    for name in ("a1", "a2"):
        listed.follow(KEY, structs.replace(ENDED, id=name), 5)
    assert [row["id"] for row in listed.ended(5)] == ["a2"]
    monkeypatch.setattr(acknowledgements, "MOST_LISTED", 2)
    for name in "efg":
        listed.follow(("Hot", name), structs.replace(ENDED, id=name, subject=name), 6)
    assert [row["id"] for row in listed.ended(6)] == ["f", "g"]
    listed.follow(KEY, structs.replace(ENDED, id="a9"), 7 + LISTED_FOR)
    assert len(listed.snapshot()["ended"]) == 1


def test_a_wait_that_ends_is_no_alert_that_ended() -> None:
    listed = Acknowledgements()
    listed.follow(KEY, structs.replace(ENDED, state="inactive"), 5)
    assert not list(listed.ended(5))


def test_a_snapshot_restores_all_of_it() -> None:
    listed, restored = Acknowledgements(), Acknowledgements()
    listed.follow(KEY, ENDED, 5)
    listed.add(("Cold", "d"), GIVEN)
    restored.restore(listed.snapshot())
    assert restored.snapshot() == listed.snapshot()
    row = restored.unlist("a1")
    assert row is not None
    assert (row["subject"], restored.unlist("a1")) == ("d", None)
