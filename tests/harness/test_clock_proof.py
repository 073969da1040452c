"""The judge of clocks sees what is wrong in what a gateway says."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.proofs.clock.devices import COLD, HOT, Device, Sent, fleet
from tests.proofs.clock.judging import BY_DEVICE_TIME, EVERY, Answers, Judge
from tests.proofs.clock.machines import HOUR, MINUTE, MISFORTUNES, RIGHT
from tests.proofs.ground.shifted_clock import WallClock

AHEAD = WallClock(HOUR, synchronised=False)
OF_NAME = {misfortune.name: misfortune for misfortune in MISFORTUNES}
STEPS = OF_NAME["steps ahead"]
ROUNDS = 6
PROBLEM = {"problems": [{"code": "clock"}]}
NO_PROBLEM: dict[str, Any] = {"problems": []}


class Said:
    """What a gateway that did everything right says of a fleet, to be sabotaged.

    Its clock was an hour ahead from the beginning, and outvoted.
    """

    def __init__(self) -> None:
        self.devices = fleet("town", random.Random(1))
        self.starts: dict[tuple[str, int], list[int]] = {}
        """The starts of the windows that hold a reading, by device and number."""
        self.fired = {("Hot", device.name): 1 for device in self.devices}
        self.quarantine: list[dict[str, Any]] = []
        self.withheld = 0
        self.during, self.after = PROBLEM, NO_PROBLEM
        for device in self.devices:
            self._send(device)
        sleeper = self.of("falls silent").name
        self.fired = {**self.fired, ("Silent", sleeper): 1, ("Hot", sleeper): 0}

    def _send(self, device: Device) -> None:
        device.birth()
        for number in range(ROUNDS):
            device.send(HOT if number % 2 else COLD)
            made = device.sent[-1]
            at = made.ts if device.kind in BY_DEVICE_TIME else made.taken
            assert at is not None
            self.starts[device.name, number] = [at - at % EVERY]

    def of(self, kind: str) -> Device:
        return next(device for device in self.devices if device.kind == kind)

    def judge(self) -> list[str]:
        judge = Judge(STEPS, self.devices, [AHEAD, RIGHT])
        judge.judge_problems(self.during, self.after)
        windows = [self._row(device, *at) for device in self.devices for at in enumerate(device.sent)]
        alerts = [
            {"rule": rule, "subject": name, "state": "firing"}
            for (rule, name), times in self.fired.items()
            for _ in range(times)
        ]
        report = {"counters": {"points_beyond_retention": self.withheld}}
        return judge.judge(
            Answers([row for rows in windows for row in rows], alerts, self.quarantine, report)
        )

    def _row(self, device: Device, number: int, one: Sent) -> list[dict[str, Any]]:
        value = 2.0**-15 * (1 << one.bit)
        return [
            {"device": device.name, "metric": one.metric, "start": start, "sum": value, "count": 1}
            for start in self.starts[device.name, number]
        ]


@pytest.fixture
def said() -> Said:
    return Said()


def test_what_is_right_is_found_right(said: Said) -> None:
    assert said.judge() == []


def declared_silent(said: Said) -> None:
    said.fired["Silent", said.of("right").name] = 1


def declared_silent_while_its_readings_wait(said: Said) -> None:
    said.fired["Silent", said.of("no clock").name] = 1


def silence_missed(said: Said) -> None:
    said.fired["Silent", said.of("falls silent").name] = 0


def alert_missed(said: Said) -> None:
    said.fired["Hot", said.of("reboots behind").name] = 0


def alert_repeated(said: Said) -> None:
    said.fired["Hot", said.of("jitter").name] = 2


def stamp_replaced(said: Said) -> None:
    made = said.of("behind").sent[3]
    said.starts["behind", 3] = [made.taken - made.taken % EVERY]


def stamp_of_the_wrong_clock(said: Said) -> None:
    said.starts["no-clock", 0] = [said.starts["no-clock", 0][0] + AHEAD.ahead]


def stamps_of_the_past(said: Said) -> None:
    said.starts["years-ahead", 4] = [said.starts["years-ahead", 4][0] - MINUTE]


def lost(said: Said) -> None:
    said.starts["no-clock", 3] = []


def put_aside(said: Said) -> None:
    topic, payload = said.of("ahead").sent[2].delivery
    said.starts["ahead", 2] = []
    said.quarantine.append({"topic": topic.decode(), "payload": payload.hex()})


def twice(said: Said) -> None:
    said.starts["offline", 0].append(said.starts["offline", 0][0] + EVERY)


def no_problem(said: Said) -> None:
    said.during = NO_PROBLEM


def problem_stays(said: Said) -> None:
    said.after = PROBLEM


def withheld(said: Said) -> None:
    said.withheld = 3


@pytest.mark.parametrize(
    ("sabotage", "sentence"),
    [
        (declared_silent, "right: silent 1 times"),
        (declared_silent_while_its_readings_wait, "no clock: silent 1 times"),
        (silence_missed, "falls silent: silent 0 times"),
        (alert_missed, "reboots behind: hot 0 times"),
        (alert_repeated, "jitter: hot 2 times"),
        (stamp_replaced, "behind: 1 readings at a wrong time"),
        (stamp_of_the_wrong_clock, "no clock: 1 readings at a wrong time"),
        (stamps_of_the_past, "years ahead: 1 readings at a wrong time"),
        (lost, "no clock: 1 readings in no window, and not in quarantine"),
        (put_aside, "ahead: 1 readings in quarantine"),
        (twice, "backlog: 1 readings in two windows"),
        (no_problem, "no problem says that the clock is wrong"),
        (problem_stays, "the clock is right, and still"),
        (withheld, "3 points were withheld as too old"),
    ],
)
def test_what_is_wrong_is_noticed(said: Said, sabotage: Callable[[Said], None], sentence: str) -> None:
    sabotage(said)
    (wrong,) = said.judge()
    assert wrong.startswith(sentence)


def test_a_reading_that_counts_twice_in_its_window_is_noticed(said: Said) -> None:
    judge = Judge(STEPS, said.devices, [RIGHT])
    row = {"device": "right-0", "metric": "mark0", "start": 0, "sum": 2.0**-14, "count": 2}
    assert any("counts twice" in wrong for wrong in judge.judge(Answers([row], [], [], {"counters": {}})))


def test_the_times_of_a_device_that_is_years_ahead_count_only_while_the_clock_is_not_sure(said: Said) -> None:
    made = said.of("years ahead").sent[1]
    assert made.ts is not None
    said.starts["years-ahead", 1] = [made.ts - made.ts % EVERY]
    assert said.judge() == []
    judge = Judge(OF_NAME["right and synchronised"], said.devices, [RIGHT])
    assert list(judge._wrong_stamps([(made, made.ts - made.ts % EVERY)]))


def test_a_clock_is_written_whole_and_read_as_written(tmp_path: Path) -> None:
    AHEAD.write(tmp_path / "clock")
    assert WallClock.read(tmp_path / "clock") == AHEAD
