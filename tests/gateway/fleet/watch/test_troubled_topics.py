"""Topics in trouble: who is held, who makes way, and when a trouble is over."""

import pytest

from edge_gateway.fleet.watch import troubled_topics
from edge_gateway.fleet.watch.troubled_topics import (
    FORGOTTEN,
    GIVES_WAY,
    IN_A_ROW,
    LONGEST_TOPIC,
    MOST_A_NAME,
    Trouble,
    TroubledTopics,
    name_of,
)
from tests.gateway.fleet.states import packed, unpacked


def topic(device: str = "a", site: str = "north", kind: str = "telemetry") -> str:
    return f"fleet/v1/{site}/{device}/{kind}"


def quarantine(
    topics: TroubledTopics, *names: str, now: int = 0, times: int = 1, known: bool = False
) -> None:
    for name in names:
        for _ in range(times):
            topics.quarantined(topic(name), "bad", now, known=known)


def current(topics: TroubledTopics, now: int = 0) -> list[str]:
    return [name_of(one) for one, _ in topics.current(now)]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> TroubledTopics:
    """Topics with room for three strangers."""
    monkeypatch.setattr(troubled_topics, "MOST_STRANGERS", 3)
    return TroubledTopics()


def test_a_trouble_says_why_how_often_and_since_when() -> None:
    topics = TroubledTopics()
    topics.quarantined(topic(), "first", 5, known=False)
    topics.quarantined(topic(), "second\n", 9, known=False)
    assert list(topics.current(9)) == [(topic(), Trouble("second\\n", 2, 5, 9))]
    assert topics.reason(topic()) == "second\\n"
    assert topics.reason(topic("b")) == ""
    assert topic() in topics
    assert len(topics) == 1


def test_telemetry_of_a_registered_device_is_in_trouble_after_three_in_a_row_and_a_birth_at_once() -> None:
    topics = TroubledTopics()
    quarantine(topics, "a", times=IN_A_ROW - 1, known=True)
    assert current(topics) == []
    quarantine(topics, "a", known=True)
    topics.quarantined(topic("b", kind="status"), "bad", 0, known=True)
    assert current(topics) == ["b", "a"] or current(topics) == ["a", "b"]


def test_an_accepted_message_ends_the_trouble() -> None:
    topics = TroubledTopics()
    quarantine(topics, "a", times=IN_A_ROW, known=True)
    quarantine(topics, "b")
    for name in ("a", "b", "c"):
        topics.accepted(topic(name))
    assert len(topics) == 0
    quarantine(topics, "a", known=True)
    assert current(topics) == [], "it counts from the start again"


def test_topics_in_trouble_are_met_by_any_of_a_batch() -> None:
    topics = TroubledTopics()
    assert not topics.touches([topic()])
    quarantine(topics, "a")
    assert topics.touches([topic("b"), topic("a")])
    assert not topics.touches([topic("b")])


def test_the_longest_trouble_comes_first() -> None:
    topics = TroubledTopics()
    quarantine(topics, "b", now=1)
    quarantine(topics, "a", now=2)
    quarantine(topics, "b", now=3)
    assert current(topics, 3) == ["b", "a"]


def test_a_silent_trouble_is_forgotten_after_a_day() -> None:
    topics = TroubledTopics()
    quarantine(topics, "a")
    quarantine(topics, "k", times=IN_A_ROW, known=True)
    assert current(topics, FORGOTTEN - 1) == ["a", "k"]
    assert current(topics, FORGOTTEN) == []
    quarantine(topics, "b", now=FORGOTTEN - 1)
    assert current(topics, FORGOTTEN) == ["b"]
    assert len(topics) == 3
    quarantine(topics, "c", now=FORGOTTEN)
    assert len(topics) == 2


def test_a_new_stranger_takes_the_place_of_the_one_heard_once_the_longest_ago(few: TroubledTopics) -> None:
    quarantine(few, "again", times=2)
    quarantine(few, "first", "second", "third", now=1)
    assert sorted(current(few, 1)) == ["again", "second", "third"]
    assert few.left_out == 0


def test_strangers_heard_again_make_way_only_after_ten_minutes_of_silence(few: TroubledTopics) -> None:
    quarantine(few, "a", "b", "c", times=2, now=100)
    quarantine(few, "new", now=100 + GIVES_WAY - 1)
    assert sorted(current(few, 100)) == ["a", "b", "c"]
    assert few.left_out == 1
    quarantine(few, "new", now=100 + GIVES_WAY)
    assert sorted(current(few, 100)) == ["b", "c", "new"]
    assert few.left_out == 1


def test_registered_devices_take_no_room_of_strangers(few: TroubledTopics) -> None:
    quarantine(few, "a", "b", "c", times=2)
    quarantine(few, "d", "e", times=IN_A_ROW, known=True)
    assert len(few) == 5


def test_a_name_has_a_few_topics_and_the_one_heard_first_makes_way() -> None:
    topics = TroubledTopics()
    for number in range(MOST_A_NAME + 1):
        topics.quarantined(topic(site=f"site-{number}"), "bad", number, known=False)
    held = [one.split("/")[2] for one, _ in topics.current(MOST_A_NAME)]
    assert held == [f"site-{number}" for number in range(1, MOST_A_NAME + 1)]
    topics.quarantined(topic(site="site-1"), "bad", 10, known=False)
    topics.quarantined(topic(site="site-9"), "bad", 10, known=False)
    assert topic(site="site-1") in topics, "it was heard again"
    assert topic(site="site-2") not in topics


def test_a_stranger_that_registers_is_held_as_a_device() -> None:
    topics = TroubledTopics()
    quarantine(topics, "a")
    quarantine(topics, "a", known=True)
    assert current(topics) == []
    quarantine(topics, "a", known=True)
    assert current(topics) == ["a"]
    assert topics.snapshot()["_once"] == []


def test_a_long_topic_is_cut_and_one_of_another_form_stands_for_itself() -> None:
    topics = TroubledTopics()
    topics.quarantined("x" * 1_000, "bad", 0, known=False)
    assert "x" * LONGEST_TOPIC in topics
    assert name_of("fleet/v1/north/a/telemetry") == "a"
    assert name_of("fleet/v1/north/a") == "fleet/v1/north/a"


def test_topics_come_back_from_a_checkpoint(few: TroubledTopics) -> None:
    quarantine(few, "again", times=2)
    quarantine(few, "k", times=2, known=True)
    quarantine(few, "a", "b", "c")
    again = TroubledTopics()
    quarantine(again, "gone", times=2)
    again.restore(unpacked(packed(few.snapshot())))
    for one in (few, again):
        quarantine(one, "k", known=True, now=1)
        quarantine(one, "d", now=2)
        one.accepted(topic("c"))
    assert list(again.current(2)) == list(few.current(2))
    assert packed(again.snapshot()) == packed(few.snapshot())
