"""Requests to a running fleet, over the socket in its run directory."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from fleet_sim.faults.plan import PlannedFault
from fleet_sim.runtime.fleet import FleetRun

__all__ = ["SOCKET_NAME", "answering", "socket_of"]

SOCKET_NAME = "control.sock"


def socket_of(directory: Path) -> Path:
    """Return the path of the socket on which the run of this directory listens."""
    return directory / SOCKET_NAME


def answering(run: FleetRun) -> Callable[[dict[str, Any]], Awaitable[Any]]:
    """Return the handler of requests for `run`.

    ==============================================================  ==============================================
    `{"do": "status"}`                                              the snapshot
    `{"do": "stop"}`                                                the result, when the run has ended
    `{"do": "fault", "fault": {"kind": …, "match": {…}, …}}`        `{"number": …, "devices": how many}`
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
                return _started(run.start_fault(kind, match, **fault))
            case "disconnect":
                length = request.get("for")
                if not isinstance(length, int) or length <= 0:
                    raise ValueError("for: must be a whole number of milliseconds above 0")
                return _started(run.disconnect(_mapping(request, "match"), length))
            case unknown:
                raise ValueError(f"do: '{unknown}' is no request; one of status, stop, fault, disconnect")

    return answer


def _mapping(request: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = request.get(key, {})
    if not isinstance(found, dict):
        raise ValueError(f"{key}: must be a mapping of keys and values")  # noqa: TRY004 - an answer to the client
    return found


def _started(fault: PlannedFault) -> dict[str, int]:
    return {"number": fault.number, "devices": len(fault.devices)}
