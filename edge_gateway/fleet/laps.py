"""A batch cut into laps: parts within which no device's clock steps back."""

from typing import NamedTuple

import numpy as np

from edge_gateway.columns.frame import BoolColumn, Frame, IntColumn, part
from edge_gateway.fleet.arrivals.clocks import STEADY, Clocks, NewMessages, times_for_rules
from edge_gateway.fleet.arrivals.sequences import Verdicts
from edge_gateway.fleet.timestamps import NO_TIME, Stamped, newest, oldest


class Lap(NamedTuple):
    """A part of a frame, before which the clocks of some devices are set back. Times in ms, one for each device.

    Attributes:
        stepped: these devices.
        back_to: to which time: the newest of the message that stepped.
        oldest: the oldest time of that message.
        frame: the part.
    """

    stepped: IntColumn
    back_to: IntColumn
    oldest: IntColumn
    frame: Frame


class ClockSteps(NamedTuple):
    """At which time rules take each sample, and with which messages (by position, ascending) a clock stepped back."""

    at: IntColumn
    steps: IntColumn
    back_to: IntColumn
    """The newest time of each of those messages, ms."""
    oldest: IntColumn
    """Their oldest times, ms."""


def follow_clocks(
    clocks: Clocks,
    verdicts: Verdicts,
    new: BoolColumn,
    times: Stamped,
    message: IntColumn,
    *,
    begin: IntColumn,
    listening: int,
) -> ClockSteps:
    """Follow the clocks of devices through the new messages of a batch.

    Args:
        clocks: the clocks, which move on.
        verdicts: where the messages stand.
        new: which messages count.
        times: time of each sample.
        message: message of each sample, ascending; every message has at least one.
        begin: the messages with which a device begins again at the time of arrival, since the gateway's clock was set.
        listening: the listening clock, ms.
    """
    rows, which = verdicts.rows, verdicts.order
    time, stamped = rows.time, np.zeros(len(which), np.bool_)
    if times.stamped.any():
        time, stamped = newest(times.ts, message)[which], rows.time == NO_TIME
    begins = np.isin(which, begin) if len(begin) else np.zeros(len(which), np.bool_)
    messages = NewMessages(rows.device, rows.boot, verdicts.standing, time, stamped, begins)
    if not new.all():
        counts = new[which]
        messages, which = messages.pick(counts), which[counts]
    course = clocks.follow(messages, listening)
    if course is STEADY:
        return ClockSteps(times.ts, which[:0], which[:0], which[:0])
    at = times_for_rules(times, message, course, which, clocks.max_step_back)
    steps = course.steps[np.argsort(which[course.steps])]
    return ClockSteps(at, which[steps], messages.time[steps], oldest(times.ts, message)[which[steps]])


def cut_laps(frame: Frame, device: IntColumn, message: IntColumn, clocks: ClockSteps) -> list[Lap]:
    """Cut a frame so that within a part no clock steps back.

    Args:
        frame: the rows of new messages.
        device: device of each message.
        message: message of each row of the frame.
        clocks: with which messages clocks stepped back.
    """
    steps = clocks.steps
    if not len(steps):
        return [Lap(steps, clocks.back_to, clocks.oldest, frame)]
    lap = np.zeros(len(device), np.int64)
    for place in steps.tolist():
        lap[place:] += device[place:] == device[place]
    number, of_step = lap[message], lap[steps]
    return [
        Lap(device[steps[at]], clocks.back_to[at], clocks.oldest[at], part(frame, number == one))
        for one in range(int(lap.max()) + 1)
        for at in [of_step == one]
    ]
