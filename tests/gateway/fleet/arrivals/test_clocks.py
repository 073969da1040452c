"""The clocks of a fleet in columns, against a plain model of each device's time that shares nothing with them."""

from __future__ import annotations

import random
from typing import NamedTuple

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_gateway.fleet.arrivals.boot_mark import BELOW, FIRST, HIGHEST
from edge_gateway.fleet.arrivals.clocks import (
    NOT_TAKEN,
    STEADY,
    ClockCourse,
    Clocks,
    NewMessages,
    times_for_rules,
)
from edge_gateway.fleet.timestamps import NO_TIME, Stamped
from tests.gateway.fleet.arrivals import plain_clock
from tests.gateway.fleet.arrivals.plain_clock import SMALL, PlainClock
from tests.gateway.fleet.states import packed, unpacked

T0 = 1_760_000_000_000


class Message(NamedTuple):
    device: int
    boot: int
    seq: int
    time: int
    stamped: bool
    listening: int


class Birth(NamedTuple):
    device: int
    boot: int
    time: int | None


Event = Message | Birth


def plainly(events: list[Event]) -> list[tuple[str, int | None]]:
    clocks: dict[int, PlainClock] = {}
    tops: dict[tuple[int, int], int] = {}
    found = []
    for one in events:
        clock = clocks.setdefault(one.device, PlainClock())
        if isinstance(one, Birth):
            clock.birth(one.boot, one.time)
            continue
        top = tops.get((one.device, one.boot))
        above = top is None or one.seq > top
        tops[one.device, one.boot] = one.seq if above else top or 0
        found.append(
            clock.message(
                plain_clock.Heard(one.boot, one.time, above, top is None, one.stamped, one.listening)
            )
        )
    return found


# --- lives of devices


def a_life(chance: random.Random, device: int, length: int) -> list[tuple[int, Event]]:
    """(arrival, event): live readings of a clock that steps, reboots, late ones, and buffers of any boot."""
    behind, boot, births = 0, 10 * device, chance.random() < 0.5
    now, seqs = 0, {boot: 0}
    kept: list[Message] = []
    arrivals: list[tuple[int, Event]] = []

    def reading(at: int, of: int) -> Message:
        seqs[of] = seqs.get(of, -1) + 1
        return Message(device, of, seqs[of], T0 + at - behind, chance.random() < 0.05, 0)

    for _ in range(length):
        now += chance.choice((0, 50, 300, 1_000, 1_000, 1_000, 10_000))
        match chance.choices(range(6), (70, 8, 6, 5, 5, 6))[0]:
            case 0:
                arrivals.append((now, reading(now, boot)))
            case 1:
                behind = chance.choice((-9_000, 0, 0, 1, 4_000, 6_000, 60_000, 3_600_000))
            case 2:
                kept += [
                    reading(now + at * chance.choice((10, 1_000)), boot) for at in range(chance.randrange(6))
                ]
            case 3:
                boot = chance.choice([*seqs, boot + 1])
                if births:
                    told = chance.choice((None, T0 + now - behind))
                    arrivals.append((now, Birth(device, boot, told)))
            case 4:
                pace = chance.choice((0, 20, 1_000))
                arrivals += [(now + at * pace, one) for at, one in enumerate(kept)]
                kept = []
            case _:
                arrivals.append((now + chance.choice((2_000, 30_000)), reading(now, boot)))
    return arrivals


def a_fleet(seed: int, length: int) -> list[Event]:
    chance = random.Random(seed)
    arrivals = [one for device in range(3) for one in a_life(chance, device, length)]
    arrivals.sort(key=lambda pair: pair[0])
    return [event._replace(listening=at) if isinstance(event, Message) else event for at, event in arrivals]


def batches(events: list[Event], chance: random.Random) -> list[list[Message] | Birth]:
    """Cut into batches: what a batch holds arrived at one listening time."""
    found: list[list[Message] | Birth] = []
    for one in events:
        last = found[-1] if found else None
        if isinstance(one, Birth):
            found.append(one)
        elif isinstance(last, list) and last[0].listening == one.listening and chance.random() < 0.8:
            last.append(one)
        else:
            found.append([one])
    return found


class Fleet:
    """Clocks that are given messages in order of arrival."""

    def __init__(self) -> None:
        self.clocks = Clocks(SMALL)
        self._tops: dict[tuple[int, int], int] = {}

    def follow(self, given: list[Message]) -> list[tuple[str, int | None]]:
        standing = [self._standing(one) for one in given]
        device = np.array([one.device for one in given])
        order = np.argsort(device, kind="stable")
        messages = NewMessages(
            device,
            np.array([one.boot for one in given]),
            np.array(standing, np.int8),
            np.array([one.time for one in given]),
            np.array([one.stamped for one in given], np.bool_),
            np.zeros(len(given), np.bool_),
        )
        course = self.clocks.follow(messages.pick(order), given[0].listening)
        return self._named(given, course, order)

    def _standing(self, one: Message) -> int:
        key = one.device, one.boot
        if one.seq <= self._tops.get(key, -1):
            return BELOW
        standing = HIGHEST if key in self._tops else FIRST
        self._tops[key] = one.seq
        return standing

    def _named(
        self, given: list[Message], course: ClockCourse, order: np.ndarray[tuple[int], np.dtype[np.int64]]
    ) -> list[tuple[str, int | None]]:
        times = Stamped(np.array([one.time for one in given]), np.array([one.stamped for one in given]))
        at = times_for_rules(times, np.arange(len(given)), course, order, SMALL).tolist()
        stepped = set(order[course.steps].tolist())
        named: list[tuple[str, int | None]] = []
        for place, one in enumerate(given):
            if at[place] == NOT_TAKEN:
                named.append(("aside", None))
            elif place in stepped:
                named.append(("stepped", at[place]))
            else:
                named.append(("held" if at[place] != one.time else "plain", at[place]))
        return named


def expected_names(
    messages: list[Message], found: list[tuple[str, int | None]]
) -> list[tuple[str, int | None]]:
    """The model's answers in the words that can be told from outside: what keeps its own time is plain."""
    own = [
        what in {"advances", "late", "held"} and at == one.time
        for one, (what, at) in zip(messages, found, strict=True)
    ]
    return [("plain" if plain else what, at) for plain, (what, at) in zip(own, found, strict=True)]


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(5, 60), st.integers(0, 2**32))
@example(seed=1, length=60, cuts=1)
def test_any_life_is_followed_as_the_plain_model_does_however_it_is_cut(
    seed: int, length: int, cuts: int
) -> None:
    events = a_fleet(seed, length)
    expected = plainly(events)
    fleet, chance = Fleet(), random.Random(cuts)
    found: list[tuple[str, int | None]] = []
    for one in batches(events, chance):
        if isinstance(one, Birth):
            fleet.clocks.birth(one.device, one.boot, NO_TIME if one.time is None else one.time)
        else:
            found += fleet.follow(one)
        if chance.random() < 0.1:
            again = Clocks(SMALL)
            again.restore(unpacked(packed(fleet.clocks.snapshot())))
            fleet.clocks = again
    messages = [one for one in events if isinstance(one, Message)]
    assert found == expected_names(messages, expected)
    steps = sum(what == "stepped" for what, _ in expected)
    small = sum(what == "held" and not one.stamped for (what, _), one in zip(expected, messages, strict=True))
    aside = sum(what == "aside" for what, _ in expected)
    assert list(fleet.clocks.totals().values()) == [steps, small, aside]


def test_the_lives_make_enough_happen() -> None:
    counts: dict[str, int] = {}
    for seed in range(40):
        for what, _ in plainly(a_fleet(seed, 60)):
            counts[what] = counts.get(what, 0) + 1
    assert all(counts[what] > 30 for what in ("advances", "held", "late", "aside", "stepped")), counts


def test_a_fleet_whose_clocks_only_advance_is_followed_in_columns() -> None:
    fleet = Fleet()
    fleet.follow([Message(device, 1, 0, T0, False, 0) for device in range(100)])
    for turn in range(1, 4):
        given = [
            Message(device, 1, 2 * turn + at, T0 + turn + at, False, turn)
            for device in range(100)
            for at in (0, 1)
        ]
        columns = [np.array(column) for column in zip(*given, strict=True)]
        device, boot, _, time, stamped, _ = columns
        messages = NewMessages(device, boot, np.full(200, HIGHEST, np.int8), time, stamped, stamped)
        assert fleet.clocks.follow(messages, turn) is STEADY


def test_the_samples_of_a_held_message_are_held_up_to_a_small_step() -> None:
    course = ClockCourse(np.array([0]), np.array([T0]), np.array([1]), np.array([], np.int64))
    ts = np.array([T0 - 9_000, T0 - 5_000, T0 - 1, T0 + 1, T0 - 20_000, T0 + 2])
    times = Stamped(ts, np.array([False, False, False, False, True, False]))
    at = times_for_rules(times, np.array([0, 0, 0, 1, 0, 2]), course, np.array([0, 1]), SMALL)
    assert at.tolist() == [T0 - 9_000, T0, T0, NOT_TAKEN, T0, T0 + 2]
    assert times_for_rules(times, np.arange(6), STEADY, np.arange(6), SMALL) is ts


def test_a_retired_device_is_forgotten_and_its_counts_stay_in_the_totals() -> None:
    fleet = Fleet()
    fleet.follow([Message(0, 1, 0, T0, False, 0), Message(0, 1, 1, T0 - 1, False, 0)])
    fleet.clocks.forget(np.array([0, 99]))
    assert set(fleet.clocks.counters(0).values()) == {0}
    assert fleet.clocks.totals()["small_clock_steps"] == 1
    assert fleet.follow([Message(0, 1, 2, 5, False, 0)]) == [("plain", 5)]


def test_of_an_unknown_device_nothing_is_counted() -> None:
    assert set(Clocks(SMALL).counters(3).values()) == {0}


def test_a_batch_without_new_messages_is_steady() -> None:
    none, no = np.empty(0, np.int64), np.empty(0, np.bool_)
    assert Clocks(SMALL).follow(NewMessages(none, none, none.astype(np.int8), none, no, no), 0) is STEADY
