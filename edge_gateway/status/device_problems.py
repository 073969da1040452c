"""What is wrong with single devices, by name and with what to do: for the problems of the status and for `devices`.

`edge_gateway.status.device_watch` tells it in the status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edge_gateway.fleet.accounting import COUNTED, bad_text
from edge_gateway.fleet.admission import SEQUENCE_CONFLICT
from edge_gateway.fleet.decoders.diagnosis import EXPECTED_TIME, unit_of
from edge_gateway.fleet.devices.tag_versions import UNKNOWN_TYPE
from edge_gateway.fleet.limits import Refusal
from edge_gateway.fleet.watch.troubled_topics import IN_A_ROW, name_of
from fleet_config.durations import format_duration
from fleet_wire.printable import printable
from fleet_wire.topics import TELEMETRY

if TYPE_CHECKING:
    from edge_gateway.fleet.watch.streaks import Streak
    from edge_gateway.fold.pipeline import Pipeline
    from edge_gateway.rules.language.ruleset import RuleSet

LONGEST_REASON: Final = 160
REPEATED: Final = 100
LASTS: Final = 600_000
"""Milliseconds of the listening clock that repeats must go on: a buffer that is sent again comes to its end."""
BEHIND_FOR: Final = 3_600_000
"""Likewise of readings that come old: a buffer of an outage is sent in less, or is worth a look."""
ANCIENT: Final = 30 * 86_400_000
"""A reading this old on arrival (ms) comes of a wrong clock, and is told at once."""
_HOUR: Final = 3_600_000

_ADVICE: Final = {
    Refusal.TOPIC: "its topic is not fleet/v1/<site>/<device>/<kind> in letters, digits, _ and -",
    Refusal.DEVICES: "limits.devices is used up: raise it",
    SEQUENCE_CONFLICT: "it numbers its messages anew under the same boot: a new boot at each start is due",
}


class Trouble(NamedTuple):
    """One device, or publisher that is none, and what is wrong with it; `messages` of telemetry are in quarantine."""

    site: str
    device: str
    why: str
    messages: int = 0


class Kind(NamedTuple):
    """A problem: its code, what is wrong, what they are of whom it is, and who they are.

    One that `lingers` comes and goes: who has it is named for a while longer.
    """

    code: str
    what: str
    who: str
    found: Callable[[Pipeline], Iterator[Trouble]]
    lingers: bool = False


def by_device(pipeline: Pipeline) -> dict[tuple[str, str], Trouble]:
    """Return the first trouble of each device that has one, by (site, device)."""
    found: dict[tuple[str, str], Trouble] = {}
    for kind in KINDS:
        for one in kind.found(pipeline):
            found.setdefault((one.site, one.device), one)
    return found


def stranger(trouble: Trouble) -> dict[str, Any]:
    """Describe a publisher that is no device here, in the shape in which devices are described."""
    counters = dict.fromkeys(COUNTED, 0) | {"received": trouble.messages, "quarantined": trouble.messages}
    lost = dict.fromkeys(("lost_at_device", "given_up", "clock_steps"), 0)
    return {
        "device": trouble.device,
        "site": trouble.site,
        "type": UNKNOWN_TYPE,
        "tags": {},
        "position": None,
        "online": None,
        "last_seen": None,
        "boot": None,
        "top_seq": None,
        "gaps": [],
        "counters": {**counters, **lost},
        "bad": {},
    }


# --- who is not heard


def _unheard(pipeline: Pipeline) -> Iterator[Trouble]:
    """Each publisher once, with the first reason that applies."""
    told: dict[tuple[str, str], Trouble] = {}
    for found in (_quarantined, _repeating, _unborn):
        for one in found(pipeline):
            told.setdefault((one.site, one.device), one)
    yield from told.values()


def _quarantined(pipeline: Pipeline) -> Iterator[Trouble]:
    """Publishers whose messages of one kind all go to quarantine."""
    for topic, trouble in pipeline.admission.watch.troubles.current(pipeline.registry.presence.now):
        site, device = _place(topic)
        why = _reason(pipeline, site, device, trouble.reason)
        kind = topic.rpartition("/")[2]
        said = why if kind == TELEMETRY else f"{'birth' if kind == 'status' else printable(kind, 20)}: {why}"
        yield Trouble(site, device, said, trouble.times if kind == TELEMETRY else 0)


def _place(topic: str) -> tuple[str, str]:
    """Return (site, device) of a topic, safe to show."""
    levels = topic.split("/")
    site = levels[2] if len(levels) > 2 else ""  # noqa: PLR2004 - fleet, v1, site
    return printable(site, 64), printable(name_of(topic), 64)


def _reason(pipeline: Pipeline, site: str, device: str, reason: str) -> str:
    if reason == Refusal.WRONG_SITE:
        number = pipeline.registry.find(device)
        home = "another site" if number is None else f"site {pipeline.registry.device_site[number]}"
        return f"it sends at {site}, and the name belongs to {home}: a device has one site, and its name is its own"
    return printable(_ADVICE.get(reason, reason), LONGEST_REASON)


def _repeating(pipeline: Pipeline) -> Iterator[Trouble]:
    for device, streak in _streaks(pipeline, "repeats", REPEATED):
        if pipeline.registry.presence.now - streak.since >= LASTS:
            why = f"all it sends has come before (boot {streak.value}): a new boot is due at each start"
            yield _of(pipeline, device, why)


def _unborn(pipeline: Pipeline) -> Iterator[Trouble]:
    """Devices without a birth, where rules select by what only a birth tells."""
    if not _selects_by_birth(pipeline.rules.rules):
        return
    registry, new = pipeline.registry, pipeline.admission.accounting.column("new")
    born = registry.births.facts
    for device in (new >= IN_A_ROW).nonzero()[0].tolist():
        if device not in born and registry.is_live(device):
            yield _of(
                pipeline,
                device,
                "it has sent no birth: its type is unknown, and no rule that selects by it fires",
            )


def _selects_by_birth(rules: RuleSet) -> bool:
    return any(match.keys() - {"site", "device"} for rule in rules.rules for match in rule.match)


# --- whose clock is wrong


def _clocks(pipeline: Pipeline) -> Iterator[Trouble]:
    limits = pipeline.admission.policy.time
    for device, streak in _streaks(pipeline, "times", IN_A_ROW):
        time, age = streak.value, streak.other - streak.value
        if time < limits.earliest or age < -limits.max_future_skew:
            yield _of(pipeline, device, f"{_unbelieved(time)}: its readings are stamped with their arrival")
        elif age >= ANCIENT or pipeline.registry.presence.now - streak.since >= BEHIND_FOR:
            yield _of(pipeline, device, _behind(time, age))


def _unbelieved(time: int) -> str:
    unit = unit_of(time)
    if unit and unit != "milliseconds":
        return f"ts {time} looks like {unit}; {EXPECTED_TIME}"
    return f"its clock says {_day(time)}"


def _behind(time: int, age: int) -> str:
    told = format_duration(max(age // _HOUR, 1) * _HOUR)
    why = f"its readings are of {_day(time)}, {told} old when they come: no command comes of them"
    if age >= ANCIENT:
        why += "; set its clock, or raise time.earliest above it to have them stamped with their arrival"
    return why


def _day(time: int) -> str:
    try:
        return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%d %H:%MZ")
    except (ValueError, OverflowError, OSError):
        return str(time)


# --- who tells too much


def _numbering(pipeline: Pipeline) -> Iterator[Trouble]:
    for device in pipeline.admission.sequences.implausible():
        yield _of(
            pipeline, device, "its birth or messages leap by more than a million, which is not believed"
        )


def _talkative(pipeline: Pipeline) -> Iterator[Trouble]:
    for device in sorted(pipeline.registry.births.cut):
        yield _of(pipeline, device, "its birth tells more of tags or metrics than is kept")


# --- who uses up a share, or sends what does not count


def _shares(pipeline: Pipeline) -> Iterator[Trouble]:
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


def _late(pipeline: Pipeline) -> Iterator[Trouble]:
    for device in pipeline.windows.late_share.nearly_used_up(pipeline.registry.presence.now).tolist():
        yield _of(
            pipeline,
            device,
            "its late readings take more than four fifths of its share; beyond it they are merged nowhere",
        )


def _mostly_bad(pipeline: Pipeline) -> Iterator[Trouble]:
    """The metric and reason told are of the newest bad value."""
    names = pipeline.registry.metric_names
    for one in pipeline.admission.mostly_bad.found():
        newest = bad_text(one.metric, one.reason, names)
        yield _of(pipeline, one.device, f"more than half of its values are bad, such as {newest}")


KINDS: Final = (
    Kind("devices_unheard", "messages lead to nothing", "publisher", _unheard),
    Kind("device_clocks", "the clock is wrong", "device", _clocks),
    Kind("device_numbering", "the numbering is not believed", "device", _numbering),
    Kind("births_cut", "the birth is too long", "device", _talkative),
    Kind("bad_values", "values do not count", "device", _mostly_bad),
    Kind("device_shares", "a share is used up", "device", _shares, lingers=True),
    Kind("late_share", "too many late readings", "device", _late, lingers=True),
)


def _streaks(pipeline: Pipeline, name: str, length: int) -> Iterator[tuple[int, Streak]]:
    streaks = getattr(pipeline.admission.watch, name)
    for device in streaks.at_least(length).tolist():
        yield device, streaks.of(device)


def _of(pipeline: Pipeline, device: int, why: str) -> Trouble:
    registry = pipeline.registry
    return Trouble(registry.device_site[device], registry.device_name[device], why)
