"""Time without readings: what falls due for one rule on one device up to a moment, in order of time."""

from __future__ import annotations

from typing import NamedTuple

from tests.gateway.rules.reference.definitions import RANKS, Definition
from tests.gateway.rules.reference.device import Device
from tests.gateway.rules.reference.state import ABSENT, State
from tests.gateway.rules.reference.telling import Change
from tests.gateway.rules.reference.week import ends_after, span_at

TIMES_END, DUE, EXPIRES, SILENT = range(4)
"""What comes first of what falls due at one time."""


class Passed(NamedTuple):
    """The changes of an alert, and the metric that was found missing."""

    changes: list[Change]
    missed: str | None


class Clocks(NamedTuple):
    """The moment of a tick: listening and wall clock, ms; the zone of the device's site."""

    listening: int
    wall: int
    zone: str


def pass_time(rule: Definition, one: State, device: Device, clocks: Clocks) -> Passed:
    found: list[Change] = []
    missed, now = None, device.now(clocks.listening)
    _end_unexpected(rule, one, device, clocks.listening)
    ended = ends(rule, one, clocks.zone, now, one.busy())
    silent = _silent_since(rule, device, clocks)
    expires = _expires(rule, one, device)
    while True:
        moments = [(at, DUE) for at in _timers(rule, one, device) if at <= now]
        moments += [(at, TIMES_END) for at in ended.values()]
        if one.waits() and expires is not None and expires < now:
            moments.append((expires, EXPIRES))
        if silent is not None and (not one.absent or one.back):
            moments.append((silent, SILENT))
        if not moments:
            return Passed(found, missed)
        at, kind = min(moments)
        if kind == TIMES_END:
            found += one.close(rule, {level: when for level, when in ended.items() if when == at})
            ended = {level: when for level, when in ended.items() if when != at}
        elif kind == DUE:
            found += _due(rule, one, device, at)
        elif kind == EXPIRES:
            found += one.expire(rule, at)
        elif rule.silence is not None:
            silent, missed = None, rule.silence.metric
            found += _miss(rule, one, device, at)


def ends(rule: Definition, one: State, zone: str, now: int, levels: list[str]) -> dict[str, int]:
    """Since when levels are outside their times, of those whose times ended since they were judged."""
    found = {}
    for level in levels:
        for times in rule.times(level):
            end = ends_after(times, zone, one.judged[level])
            if end <= now:
                found[level] = end
    return found


def _due(rule: Definition, one: State, device: Device, at: int) -> list[Change]:
    for level in rule.levels:
        if level.name in one.waits() and one.up[level.name] + rule.for_ms(level, device.site) <= at:
            one.on[level.name] = True
    one.switch_off(rule, rule.keep_ms(device.site), at, [*RANKS, ABSENT])
    return one.outcome(rule, at, "time")


def _timers(rule: Definition, one: State, device: Device) -> list[int]:
    keep = rule.keep_ms(device.site) if len(one.raised(rule)) == 1 else 0
    found = [one.up[name] + rule.for_ms(rule.level_of[name], device.site) for name in one.waits()]
    found += [one.down[name] + keep for name in RANKS if one.on[name] and name in one.down]
    if one.absent and one.back:
        alerts = rule.silence is not None and rule.silence.state == "alerting"
        found.append(one.back + (keep if alerts else 0))
    return found


def _expires(rule: Definition, one: State, device: Device) -> int | None:
    """Until when the value that a wait is for is known: one of its inputs is too old then."""
    if not one.waits():
        return None
    inputs = device.inputs
    read = {metric: inputs.seen[metric].at for metric in rule.reads if metric in inputs.seen}
    newest = max(read.values(), default=0)
    within = [(at, inputs.lookback(metric)) for metric, at in read.items()]
    return min((at + lookback for at, lookback in within if newest - at <= lookback), default=None)


def _silent_since(rule: Definition, device: Device, clocks: Clocks) -> int | None:
    """Since when the watched metric counts as missing; None if it does not."""
    silence = rule.silence
    if silence is None or not rule.watches:
        return None
    here = device.now(clocks.listening) if device.first else clocks.wall
    if silence.metric in device.inputs.seen:
        due = device.inputs.seen[silence.metric].at + silence.after
    else:
        expected = device.named.get(silence.metric, None if device.first else device.born)
        if expected is None:
            return None
        due = here - (clocks.listening - expected) + silence.after
    if device.first:
        due = max(due, device.first + rule.warmup)
    for times in rule.times(ABSENT):
        span = span_at(times, clocks.zone, here)
        due = max(due, span[0]) if span else here + 1
    return due if due <= here else None


def _end_unexpected(rule: Definition, one: State, device: Device, listening: int) -> None:
    """A device that was silent altogether has sent something, and the metric is not expected of it."""
    if rule.silence is None or not one.absent or one.back or not device.first:
        return
    keep = rule.keep_ms(device.site) if rule.silence.state == "alerting" else 0
    expected = rule.silence.metric in device.inputs.seen or rule.silence.metric in device.named
    if not expected and device.first + keep <= device.now(listening):
        one.back = device.first


def _miss(rule: Definition, one: State, device: Device, at: int) -> list[Change]:
    assert rule.silence is not None
    one.absent, one.back = True, 0
    one.judged[ABSENT] = at
    if rule.silence.state == "ok":
        for level in RANKS:
            one.rest(level)
    found = []
    if rule.silence.state in {"ok", "alerting"}:
        one.switch_off(rule, rule.keep_ms(device.site), at, [*RANKS, ABSENT])
        found = one.outcome(rule, at, "no_data")
    told = any(change.cause == "no_data" for change in found)
    if rule.silence.state == "no_data" or (rule.commands_silence and not told):
        fires = one.state == "firing"
        level = one.level if fires else rule.silence.level
        state, previous = ("firing", level) if fires else ("inactive", None)
        found.append(Change(at, "no_data", "no_data", state, level, previous))
    return found
