"""Find devices with a problem, and say what is wrong and what to do about it.

`device_problems` makes the problems of the status from this; `devices` shows it beside each device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from edge_gateway.fleet.accounting import bad_text
from edge_gateway.fleet.admission import SEQUENCE_CONFLICT
from edge_gateway.fleet.decoders.diagnosis import EXPECTED_TIME, unit_of
from edge_gateway.fleet.limits import Refusal
from edge_gateway.fleet.value_checks import units_of
from edge_gateway.fleet.watch.troubled_topics import IN_A_ROW, shown_name
from edge_gateway.status.catalogue import Problem
from fleet_config.durations import format_duration
from fleet_wire.printable import printable
from fleet_wire.topics import TELEMETRY

if TYPE_CHECKING:
    from edge_gateway.fleet.watch.streaks import Streak
    from edge_gateway.fold.pipeline import Pipeline
    from edge_gateway.rules.language.ruleset import RuleSet

LONGEST_REASON: Final = 160
REPEATED: Final = 100
"""Repeats in a row from which a device is suspected."""
REPEATS_FOR: Final = 600_000
"""Milliseconds (listening clock) that repeats must last: a buffer that is sent again is over by then."""
BEHIND_FOR: Final = 3_600_000
"""Likewise for readings that arrive old: the buffer of an outage is sent in less, or worth attention."""
ANCIENT: Final = 30 * 86_400_000
"""Age in ms from which a reading is reported at once, since only a wrong clock explains it."""
_HOUR: Final = 3_600_000

_ADVICE: Final = {
    Refusal.TOPIC: "its topic is not fleet/v1/<site>/<device>/<kind> in letters, digits, _ and -",
    Refusal.DEVICES: "limits.devices is used up: raise it",
    SEQUENCE_CONFLICT: "it restarts its numbering under the same boot: it must send a new boot at each start",
}


class DeviceTrouble(NamedTuple):
    """What is wrong with a device, or with a publisher that is not a device.

    Attributes:
        messages: how many of its telemetry messages are in quarantine.
    """

    site: str
    device: str
    why: str
    messages: int = 0


Find = Callable[["Pipeline"], Iterator[DeviceTrouble]]


class DeviceCheck(NamedTuple):
    """Finds the devices that have a problem.

    Attributes:
        what: is wrong, in a few words.
        who: has it: `device`, or `publisher` where it need not be one.
        find: yields devices with what is wrong; of several troubles of a device the problem tells the first.
        lingers: the trouble comes and goes, so that a device stays named for a while after it was found last.
    """

    problem: Problem
    what: str
    who: str
    find: Find
    lingers: bool = False


def by_device(pipeline: Pipeline) -> dict[tuple[str, str], list[DeviceTrouble]]:
    """Return all troubles of each device that has one, the worst first, by (site, device)."""
    found: dict[tuple[str, str], list[DeviceTrouble]] = {}
    for one in chain.from_iterable(check.find(pipeline) for check in CHECKS):
        found.setdefault((one.site, one.device), []).append(one)
    return {key: sorted(troubles, key=lambda one: -one.messages) for key, troubles in found.items()}


# --- who is not heard


def _unheard(pipeline: Pipeline) -> Iterator[DeviceTrouble]:
    """Yield publishers with each reason that applies."""
    for find in (_quarantined, _repeating, _unborn):
        yield from find(pipeline)


def _quarantined(pipeline: Pipeline) -> Iterator[DeviceTrouble]:
    """Yield publishers of whose messages one kind goes to quarantine entirely."""
    for topic, trouble in pipeline.admission.watch.troubles.current(pipeline.registry.presence.now):
        site, device = _place(topic)
        why = _reason(pipeline, site, device, trouble.reason)
        kind = topic.rpartition("/")[2]
        said = why if kind == TELEMETRY else f"{'birth' if kind == 'status' else printable(kind, 20)}: {why}"
        yield DeviceTrouble(site, device, said, trouble.times if kind == TELEMETRY else 0)


def _place(topic: str) -> tuple[str, str]:
    """Return site and device of a topic, safe to show."""
    levels = topic.split("/")
    site = levels[2] if len(levels) > 2 else ""  # noqa: PLR2004 - fleet, v1, site
    return printable(site, 64), shown_name(topic)


def _reason(pipeline: Pipeline, site: str, device: str, reason: str) -> str:
    if reason == Refusal.WRONG_SITE:
        number = pipeline.registry.find(device)
        home = "another site" if number is None else f"site {pipeline.registry.device_site[number]}"
        return (
            f"it sends at {site}, but the name belongs to {home}: a device has one site and a name of its own"
        )
    return printable(_ADVICE.get(reason, reason), LONGEST_REASON)


def _repeating(pipeline: Pipeline) -> Iterator[DeviceTrouble]:
    for device, streak in _streaks(pipeline, "repeats", REPEATED):
        if pipeline.registry.presence.now - streak.since >= REPEATS_FOR:
            why = f"everything it sends was sent before (boot {streak.value}): it must send a new boot at each start"
            yield _of(pipeline, device, why)


def _unborn(pipeline: Pipeline) -> Iterator[DeviceTrouble]:
    """Yield devices without a birth, if rules select by what only a birth says."""
    if not _selects_by_birth(pipeline.rules.rules):
        return
    registry, new = pipeline.registry, pipeline.admission.accounting.column("new")
    born = registry.births.facts
    for device in (new >= IN_A_ROW).nonzero()[0].tolist():
        if device not in born and registry.is_live(device):
            yield _of(
                pipeline,
                device,
                "it has sent no birth that can be read: its type is unknown, and no rule that selects by it fires",
            )


def _selects_by_birth(rules: RuleSet) -> bool:
    return any(match.keys() - {"site", "device"} for rule in rules.rules for match in rule.match)


# --- whose clock is wrong


def _clocks(pipeline: Pipeline) -> Iterator[DeviceTrouble]:
    limits = pipeline.admission.policy.time
    for device, streak in _streaks(pipeline, "times", IN_A_ROW):
        time, age = streak.value, streak.other - streak.value
        if time < limits.earliest or age < -limits.max_future_skew:
            yield _of(pipeline, device, f"{_unbelieved(time)}: its readings get their time of arrival")
        elif age >= ANCIENT or pipeline.registry.presence.now - streak.since >= BEHIND_FOR:
            yield _of(pipeline, device, _behind(time, age))


def _unbelieved(time: int) -> str:
    unit = unit_of(time)
    if unit and unit != "milliseconds":
        return f"ts {time} looks like {unit}; {EXPECTED_TIME}"
    return f"its clock says {_day(time)}"


def _behind(time: int, age: int) -> str:
    old = format_duration(max(age // _HOUR, 1) * _HOUR)
    why = f"its readings are of {_day(time)}, {old} old on arrival: they cause no command"
    if age >= ANCIENT:
        why += "; set its clock, or raise time.earliest above it so that they get their time of arrival"
    return why


def _day(time: int) -> str:
    try:
        return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%d %H:%MZ")
    except (ValueError, OverflowError, OSError):
        return str(time)


# --- whose numbers or births are not believed


def _numbering(pipeline: Pipeline) -> Iterator[DeviceTrouble]:
    for device in pipeline.admission.sequences.implausible():
        yield _of(
            pipeline, device, "its birth or messages skip more than a million numbers, which is not believed"
        )


def _conflicts(pipeline: Pipeline) -> Iterator[DeviceTrouble]:
    for device in pipeline.admission.sequences.conflicted.nonzero()[0].tolist():
        yield _of(pipeline, device, "it uses numbers again, under the same boot, for other readings")


def _long_births(pipeline: Pipeline) -> Iterator[DeviceTrouble]:
    for device in sorted(pipeline.registry.births.cut):
        yield _of(pipeline, device, "its birth has more tags or metrics than are kept")


def _units(pipeline: Pipeline) -> Iterator[DeviceTrouble]:
    """Yield devices whose birth gives a metric another unit than gateway.yaml; their values are taken as they are."""
    units = units_of(pipeline.admission.policy.metrics)
    for device, facts in pipeline.registry.births.facts.items() if units else ():
        for name in sorted(units.keys() & facts.units.keys()):
            if facts.units[name] != units[name]:
                said = printable(facts.units[name], 20)
                yield _of(
                    pipeline, device, f"its birth gives {name} in {said}, gateway.yaml in {units[name]}"
                )


# --- who uses up a share, or sends bad values


def _shares(pipeline: Pipeline) -> Iterator[DeviceTrouble]:
    table, texts = pipeline.registry.table, pipeline.registry.strings
    series = {one for one in table.crowded_devices().tolist() if table.held_by(one) >= table.share}
    said = {one for one, held in texts.held.items() if held >= texts.share}
    full = {
        f"all its {table.share:,} series (limits.device_series)": series,
        f"all its {texts.share:,} texts (limits.device_strings)": said,
    }
    for device in sorted(series | said):
        shares = " and ".join(share for share, devices in full.items() if device in devices)
        yield _of(pipeline, device, f"it has {shares}, and loses what is new")


def _late(pipeline: Pipeline) -> Iterator[DeviceTrouble]:
    for device in pipeline.windows.late_share.nearly_used_up(pipeline.registry.presence.now).tolist():
        yield _of(
            pipeline,
            device,
            "its late readings use more than four fifths of its share; beyond it they are not merged",
        )


def _mostly_bad(pipeline: Pipeline) -> Iterator[DeviceTrouble]:
    """Yield devices with the metric and reason of their newest bad value."""
    names = pipeline.registry.metric_names
    for one in pipeline.admission.mostly_bad.found():
        newest = bad_text(one.metric, one.reason, names)
        yield _of(pipeline, one.device, f"more than half of its values are bad, such as {newest}")


CHECKS: Final = (
    DeviceCheck(Problem.DEVICES_UNHEARD, "messages lead to nothing", "publisher", _unheard),
    DeviceCheck(Problem.DEVICE_CONFLICTS, "numbers are used twice", "device", _conflicts),
    DeviceCheck(Problem.DEVICE_SHARES, "a share is used up", "device", _shares, lingers=True),
    DeviceCheck(Problem.BAD_VALUES, "values do not count", "device", _mostly_bad),
    DeviceCheck(Problem.DEVICE_CLOCKS, "the clock is wrong", "device", _clocks),
    DeviceCheck(Problem.DEVICE_NUMBERING, "the numbering is not believed", "device", _numbering),
    DeviceCheck(Problem.LATE_SHARE, "too many late readings", "device", _late, lingers=True),
    DeviceCheck(Problem.BIRTHS_CUT, "the birth is too long", "device", _long_births),
    DeviceCheck(Problem.DEVICE_UNITS, "the unit is another one", "device", _units),
)
"""All checks, the worst trouble first: messages that count nowhere, values that do not, then the rest."""


def _streaks(pipeline: Pipeline, name: str, length: int) -> Iterator[tuple[int, Streak]]:
    streaks = getattr(pipeline.admission.watch, name)
    for device in streaks.at_least(length).tolist():
        yield device, streaks.of(device)


def _of(pipeline: Pipeline, device: int, why: str) -> DeviceTrouble:
    registry = pipeline.registry
    return DeviceTrouble(registry.device_site[device], registry.device_name[device], why)
