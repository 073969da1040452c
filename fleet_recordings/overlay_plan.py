"""Which faults to lay over a recording: settings, and the times and devices that follow from them and a seed."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from fleet_config.counting import counted
from fleet_config.durations import Duration, format_duration
from fleet_config.match import Match, MatchSpec
from fleet_config.problems import NOWHERE, Problem, ProblemsFound, suggest
from fleet_config.validation import Strict
from fleet_recordings.faults import DEFAULT_SIZES, KINDS, OF_DURATION
from fleet_recordings.labels import Label
from fleet_recordings.mapping import MetricName

if TYPE_CHECKING:
    from fleet_recordings.reading import Recording

__all__ = ["OverlayFault", "OverlayPlan", "planned"]

_OTHER_NAMES = {"offset": "bias", "nan": "dropout"}
"""Words for kinds that are called otherwise here; a CSV file cannot hold NaN."""


def _time(value: Any) -> Any:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"'{value}' is not a time; write one like 2014-01-02T03:04:05Z") from None
    if not isinstance(at, datetime):
        raise ValueError(f"'{value}' is not a time; write one like 2014-01-02T03:04:05Z")  # noqa: TRY004 - pydantic's
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


class OverlayFault(Strict):
    """One kind of fault: on every device that matches and sends the metric, `onsets` times or at a given one."""

    kind: str
    metric: MetricName
    match: MatchSpec = Match()
    size: float | None = None
    """in the metric's unit: what is added (bias, spike), what is added per hour (drift), the standard deviation
    (noise), the value reported (out_of_range, missing_code), or the factor before 32 is added (unit_mix_up)"""
    for_: Annotated[Duration, Field(gt=0)] = Field(default=3_600_000, alias="for")
    onsets: Annotated[int, Field(ge=1, le=100_000)] = 1
    """on each device, at times that the seed draws"""
    at: Annotated[int | None, BeforeValidator(_time), WithJsonSchema({"type": "string"})] = None
    """the one time at which it begins, instead of drawn ones"""
    rule: str = ""
    """the rule that should fire; by default every one that reads the metric"""

    @model_validator(mode="after")
    def _complete(self) -> OverlayFault:
        if self.kind not in KINDS:
            other = _OTHER_NAMES.get(self.kind)
            near = f"; '{other}' is what comes of it here" if other else suggest(self.kind, KINDS)
            raise ValueError(f"kind: '{self.kind}' is none; one of {', '.join(KINDS)}{near}")
        if self.kind in OF_DURATION and self.size is not None:
            raise ValueError(f"size: {self.kind} has none; say with 'for' how long it lasts")
        if self.at is not None and self.onsets > 1:
            raise ValueError("give either 'at' or 'onsets'")
        if self.kind not in OF_DURATION and self.size is None and self.kind not in DEFAULT_SIZES:
            raise ValueError(f"size: {self.kind} needs one, in the unit of {self.metric}")
        return self

    @property
    def magnitude(self) -> float | None:
        """The size, or what it is for kinds that need none."""
        return DEFAULT_SIZES.get(self.kind) if self.size is None else self.size


class OverlayPlan(Strict):
    """A plan file of `fleet-sim overlay`."""

    version: Literal[1] = 1
    faults: Annotated[tuple[OverlayFault, ...], Field(min_length=1)]


def planned(recording: Recording, faults: Sequence[OverlayFault], seed: int, source: str) -> list[Label]:
    """Return the faults with their devices and times, in the order of time.

    The time of a metric of a device is cut into as many equal parts as faults strike it there, and each begins with
    a reading of the first half of its part, so that none overlaps another. `source` names the plan in problems.

    Raises:
        ProblemsFound: a metric that no device has, no device that matches, or faults that do not fit into the time.
    """
    series = _series(recording)
    problems: list[Problem] = []
    by_series: dict[tuple[str, str], list[OverlayFault]] = {}
    for fault in faults:
        chosen = _devices(recording, fault, series)
        if isinstance(chosen, str):
            problems.append(Problem(source, *NOWHERE, f"{fault.kind}: {chosen}"))
            continue
        for device in chosen:
            by_series.setdefault((device, fault.metric), []).extend([fault] * fault.onsets)
    labels: list[Label] = []
    for (device, metric), own in by_series.items():
        try:
            labels += _placed(device, metric, own, series[device, metric], seed)
        except ValueError as error:
            problems.append(Problem(source, *NOWHERE, str(error)))
    if problems:
        raise ProblemsFound(problems)
    return sorted(labels)


def _series(recording: Recording) -> dict[tuple[str, str], list[int]]:
    """Return the times (ms) of each (device, metric)."""
    found: dict[tuple[str, str], list[int]] = {}
    for sample in recording.samples:
        for metric in sample.m:
            found.setdefault((sample.device, metric), []).append(sample.ts)
    return found


def _devices(
    recording: Recording, fault: OverlayFault, series: Mapping[tuple[str, str], Sequence[int]]
) -> list[str] | str:
    """Return the devices of a fault, or why there is none."""
    metrics = sorted({metric for _, metric in series})
    if fault.metric not in metrics:
        return f"no device has a metric '{fault.metric}'; one of {', '.join(metrics)}{suggest(fault.metric, metrics)}"
    fitting = [
        device
        for device in recording.units
        if (device, fault.metric) in series
        and fault.match.matches(
            recording.sites.get(device, ""),
            device,
            recording.types.get(device, ""),
            recording.tags.get(device, {}),
        )
    ]
    return fitting or f"no device with the metric '{fault.metric}' matches"


def _placed(
    device: str, metric: str, own: Sequence[OverlayFault], times: Sequence[int], seed: int
) -> Iterable[Label]:
    """Return one series' faults at their times. ValueError: they do not fit, or overlap."""
    draw = random.Random(f"{seed}/{device}/{metric}")  # noqa: S311 - a sample, no secret
    drawn = [fault for fault in own if fault.at is None]
    draw.shuffle(drawn)
    part = (times[-1] - times[0]) / max(len(drawn), 1)
    longest = max((fault.for_ for fault in drawn), default=0)
    if drawn and part < 2 * longest:
        raise ValueError(
            f"{counted(len(drawn), 'fault')} of up to {format_duration(longest)} do not fit into the"
            f" {format_duration(times[-1] - times[0])} of {metric} of {device}, with as much time after each: lay"
            " fewer or shorter ones"
        )
    labels = []
    for number, fault in enumerate(drawn):
        at = times[0] + part * (number + draw.random() / 2)
        labels.append(_label(device, fault, times[bisect_left(times, at)]))
    labels += [_label(device, fault, fault.at) for fault in own if fault.at is not None]
    labels.sort()
    for first, second in pairwise(labels):
        if second.start < first.end:
            raise ValueError(f"{first.kind} and {second.kind} of {metric} of {device} overlap")
    return labels


def _label(device: str, fault: OverlayFault, start: int) -> Label:
    return Label(start, device, fault.metric, fault.kind, start + fault.for_, fault.magnitude, fault.rule)
