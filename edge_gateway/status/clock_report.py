"""What the status says of the machine's clock, and why it is doubted."""

from __future__ import annotations

from edge_gateway.fleet.watch.clock_vote import Poll
from edge_gateway.status.clock import BEHIND, BELIEVED, ClockState
from edge_gateway.status.report import ClockStatus
from fleet_config.counting import counted
from fleet_config.durations import rounded_duration


def clock_status(state: ClockState, poll: Poll, held: int) -> ClockStatus:
    """Return the section of the report; `held`: deliveries that wait for the time."""
    return ClockStatus(
        state=state,
        trusted=state in BELIEVED,
        agree=poll.agree,
        differ=poll.differ,
        off=poll.off if poll.differ else 0,
        held=held,
    )


def clock_doubt(status: ClockStatus) -> str:
    """Return why the wall clock is not believed; empty if it is."""
    if status.state == ClockState.BEHIND:
        return BEHIND
    if status.state != ClockState.OUTVOTED:
        return ""
    if not status.differ:
        return (
            "the fleet's clocks agreed on another time than this machine's, and have not agreed with it since"
        )
    return (
        f"this machine's clock is {_apart(status.off)} the clocks of {counted(status.differ, 'device')} that agree, and"
        " nothing synchronises it"
    )


def _apart(off: int) -> str:
    return f"{rounded_duration(abs(off))} {'behind' if off > 0 else 'ahead of'}"
