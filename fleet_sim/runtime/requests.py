"""Requests to a running fleet, over the socket in its run directory."""

import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from fleet_sim.faults.plan import PlannedFault
from fleet_sim.runtime.fleet import FleetRun

__all__ = ["SOCKET_NAME", "answering", "socket_of", "started"]

SOCKET_NAME = "control.sock"
MOST_NAMED = 5
"""Devices of a fault that an answer names."""


def socket_of(directory: Path) -> Path:
    """Return the path of the socket on which the run of this directory listens."""
    return directory / SOCKET_NAME


def answering(run: FleetRun) -> Callable[[dict[str, Any]], Awaitable[Any]]:
    """Return the handler of requests for `run`.

    ==============================================================  ==============================================
    `{"do": "status"}`                                              the snapshot
    `{"do": "stop"}`                                                the result, when the run has ended
    `{"do": "fault", "fault": {"kind": …, "match": {…}, …}}`        the fault, see `started`
    `{"do": "disconnect", "match": {…}, "for": ms}`                 the same
    ==============================================================  ==============================================

    A fault is described as in a scenario. The handler raises ValueError for a request that it refuses.
    """

    async def answer(request: dict[str, Any]) -> Any:
        match request.get("do"):
            case "status":
                return run.snapshot().as_dict()
            case "stop":
                run.stop()
                result = await run.ended()
                if result is None:
                    raise ValueError("the run failed; its own output says why")
                return result.summary()
            case "fault":
                fault = dict(_mapping(request, "fault"))
                kind, match = str(fault.pop("kind", "")), fault.pop("match", {})
                return started(run.start_fault(kind, match, **fault), run.options.speed, time.time())
            case "disconnect":
                length = request.get("for")
                if not isinstance(length, int) or length <= 0:
                    raise ValueError("for: must be a whole number of milliseconds above 0")
                return started(
                    run.disconnect(_mapping(request, "match"), length), run.options.speed, time.time()
                )
            case unknown:
                raise ValueError(f"do: '{unknown}' is no request; one of status, stop, fault, disconnect")

    return answer


def _mapping(request: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = request.get(key, {})
    if not isinstance(found, dict):
        raise ValueError(f"{key}: must be a mapping of keys and values")  # noqa: TRY004 - an answer to the client
    return found


def started(fault: PlannedFault, speed: float, now: float) -> dict[str, Any]:
    """Describe a fault that was planned just now, at `now` (seconds since 1970).

    `named` are the first ids of its devices. `until` is in ms since 1970, of real time; None: it lasts to the end of
    the run, or happens `once`. `repaired_by` is the setting that a command may change to end it.
    """
    spec = fault.spec
    lasts_ms = None if spec.for_ is None or spec.once else (spec.after + spec.for_) / speed
    return {
        "number": fault.number,
        "kind": fault.kind,
        "metric": fault.metric,
        "devices": len(fault.devices),
        "named": list(fault.devices[:MOST_NAMED]),
        "once": spec.once,
        "until": None if lasts_ms is None else round(now * 1000 + lasts_ms),
        "repaired_by": spec.repaired_by,
    }
