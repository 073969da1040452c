"""Faults that start while a fleet runs, asked for by an operator or by the program that holds the fleet."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from fleet_sim.faults.kinds import AnyFault, SensorFault
from fleet_sim.faults.plan import NEVER, PlannedFault
from fleet_sim.noise import device_keys, uniform_of
from fleet_sim.scenario.plan import DevicePlan

__all__ = ["plan_now"]

_ADAPTER: TypeAdapter[Any] = TypeAdapter(AnyFault)


def plan_now(
    number: int, settings: Mapping[str, Any], plans: Sequence[DevicePlan], seed: int, now_ms: int
) -> PlannedFault:
    """Plan a fault from what a scenario file would say of it, starting `now_ms` after the run's start.

    Raises:
        ValueError: the settings are no fault, or no device is meant; the text says why.
    """
    try:
        fault = _ADAPTER.validate_python(dict(settings))
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: {first['msg']}" if where else str(first["msg"])) from None
    metric = fault.metric if isinstance(fault, SensorFault) else None
    keys = device_keys(seed, [plan.id for plan in plans])
    drawn = uniform_of(keys, f"fault/{number}", np.zeros(len(plans), dtype=np.int64)) < fault.match.share
    devices = tuple(
        plan.id
        for plan, chosen in zip(plans, drawn.tolist(), strict=True)
        if chosen
        and (metric is None or metric in plan.metrics)
        and fault.match.match.matches(plan.site, plan.id, plan.type, plan.tags)
    )
    if not devices:
        raise ValueError("no device is meant by this match")
    start = now_ms + fault.after
    until = NEVER if fault.for_ is None else start + fault.for_
    return PlannedFault(number, fault.kind, fault.where, metric, devices, start, until, fault)
