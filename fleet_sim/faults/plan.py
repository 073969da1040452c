"""Which devices have which fault, from when to when.

A fault is a label as much as a deed: what is planned here is what the ledger records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import ValidationError

from fleet_config.counting import counted
from fleet_config.explain import explain
from fleet_config.match import PROPERTIES, Match
from fleet_config.problems import suggest
from fleet_sim.faults.disturbances import Window
from fleet_sim.faults.fault import ExpectAlert, Fault, Where
from fleet_sim.faults.sensor import SensorFault
from fleet_sim.kinds import kinds_of
from fleet_sim.noise import device_keys, uniform_of

if TYPE_CHECKING:
    from fleet_sim.plan import DevicePlan
    from fleet_sim.signals.disturbance import Disturbance
    from fleet_sim.signals.moment import Devices

__all__ = ["NEVER", "PlannedFault", "chosen_devices", "plan_now"]

NEVER: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One fault of the run: times are ms since the run's start, devices are ids in the order of the plan."""

    number: int
    devices: tuple[str, ...]
    from_ms: int
    until_ms: int
    spec: Fault

    @property
    def kind(self) -> str:
        return self.spec.kind

    @property
    def where(self) -> Where:
        return self.spec.where

    @property
    def metric(self) -> str | None:
        """The metric whose readings it changes; None: it is not a fault of a sensor."""
        return self.spec.metric if isinstance(self.spec, SensorFault) else None

    @property
    def expect_alert(self) -> ExpectAlert | None:
        """The alert it must raise."""
        return self.spec.expect_alert

    def is_on(self, since_start_ms: float) -> bool:
        return self.from_ms <= since_start_ms < self.until_ms

    def disturbance(self, devices: Devices) -> Disturbance:
        """Return the fault of a sensor, bound to the devices of a group."""
        assert isinstance(self.spec, SensorFault)
        chosen = np.zeros(len(devices), dtype=np.bool_)
        chosen[[devices.rows[device] for device in self.devices if device in devices.rows]] = True
        start = devices.start_ms
        return self.spec.disturbance(
            Window(self.number, chosen, start + self.from_ms, start + self.until_ms), devices
        )


def chosen_devices(number: int, fault: Fault, plans: Sequence[DevicePlan], seed: int) -> tuple[str, ...]:
    """Return the ids of the devices that have the fault.

    Whether a device is in a share depends on (seed, number of the fault, device id) alone, not on the size
    of the fleet.
    """
    keys = device_keys(seed, [plan.id for plan in plans])
    drawn = uniform_of(keys, f"fault/{number}", np.zeros(len(plans), dtype=np.int64)) < fault.match.share
    return tuple(plans[row].id for row in np.flatnonzero(drawn).tolist() if _is_meant(fault, plans[row]))


def _is_meant(fault: Fault, plan: DevicePlan) -> bool:
    if isinstance(fault, SensorFault) and fault.metric not in plan.metrics:
        return False
    return _matches(fault.match.match, plan)


def _matches(match: Match, plan: DevicePlan) -> bool:
    return match.matches(plan.site, plan.id, plan.type, plan.tags)


def plan_now(
    number: int, settings: Mapping[str, Any], plans: Sequence[DevicePlan], seed: int, now_ms: int
) -> PlannedFault:
    """Plan a fault from what a scenario file would say of it, starting `now_ms` after the run's start.

    Raises:
        ValueError: the settings are no fault, or no device can have it; the text says why.
    """
    fault, problems = _read(settings)
    problems += _unknown_keys(settings.get("match"), plans)
    if "metric" in settings:
        problems += _unknown_metric(str(settings["metric"]), plans)
    if fault is None or problems:
        raise ValueError("; ".join(problems))
    devices = chosen_devices(number, fault, plans, seed)
    if not devices:
        raise ValueError(_why_nobody(fault, plans))
    start = now_ms + fault.after
    until = NEVER if fault.for_ is None else start + fault.for_
    return PlannedFault(number, devices, start, until, fault)


def _read(settings: Mapping[str, Any]) -> tuple[Fault | None, list[str]]:
    """Return the fault, or None and all that is wrong with the settings as such."""
    kinds = kinds_of(Fault, "kind")
    word = str(settings.get("kind", ""))
    if word not in kinds:
        return None, [f"kind: '{word}' is none; one of {', '.join(kinds)}{suggest(word, kinds)}"]
    try:
        return kinds[word].model_validate(dict(settings)), []
    except ValidationError as problem:
        return None, [explain(kinds[word], each, each["loc"]) for each in problem.errors()]


def _unknown_keys(match: object, plans: Sequence[DevicePlan]) -> list[str]:
    """Say which keys of a match are none: neither a property of every device nor a tag of any."""
    if not isinstance(match, Mapping):
        return []
    keys = [*PROPERTIES, "share", *dict.fromkeys(tag for plan in plans for tag in plan.tags)]
    return [
        f"match: '{key}' is no key of these devices; one of {', '.join(keys)}{suggest(key, keys)}"
        for key in match
        if key not in keys
    ]


def _unknown_metric(metric: str, plans: Sequence[DevicePlan]) -> list[str]:
    every = dict.fromkeys(each for plan in plans for each in plan.metrics)
    if metric in every:
        return []
    return [f"metric: no device has a metric '{metric}'; one of {', '.join(every)}{suggest(metric, every)}"]


def _why_nobody(fault: Fault, plans: Sequence[DevicePlan]) -> str:
    """Say why no device has a fault: nothing matches, those that match lack the metric, or the share drew none."""
    match, share = fault.match.match, fault.match.share
    meant = [plan for plan in plans if _matches(match, plan)]
    if not meant:
        return f"match: {_unmatched(match, plans)}"
    able = [plan for plan in meant if _is_meant(fault, plan)]
    if not able and isinstance(fault, SensorFault):
        return f"match: {counted(len(meant), 'device')} selected, none with the metric '{fault.metric}'"
    return (
        f"match: a share of {share:.3g} of {counted(len(able), 'device')} selects none; give a larger share"
    )


def _unmatched(match: Match, plans: Sequence[DevicePlan]) -> str:
    for key, globs in match.globs:
        if not any(_matches(Match(((key, globs),)), plan) for plan in plans):
            return f"no device has {key}={','.join(globs)}"
    return "no device has " + " and ".join(f"{key}={','.join(globs)}" for key, globs in match.globs)
