"""What the rules of groups see at a moment: one look at the devices, and the columns of every rule by group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_gateway.rules.groups.device_values import DeviceValues

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edge_gateway.columns.frame import FloatColumn, IntColumn
    from edge_gateway.rules.alerts.rule_state import Instant, RuleState
    from edge_gateway.rules.columns.program import Program
    from edge_gateway.rules.groups.aggregation import Aggregate, Observed
    from edge_gateway.rules.groups.members import Members

MOST_NAMED: Final = 5
"""Devices that a text names."""


@dataclass(frozen=True, slots=True)
class GroupLook:
    """What one rule sees of its groups. `observed`: what the devices have, by aggregate; `x`: the aggregates.

    It is the context of the rule's expressions, in which an aggregate is an input, with a row for each group.
    """

    program: Program
    members: Members
    observed: Mapping[int, Observed]
    x: Mapping[int, FloatColumn]

    def column(self, number: int) -> FloatColumn:
        """A column of the rule's program, with one value for each group."""
        if number < self.program.first_expression:
            return self.x[number]
        operation = self.program.expressions[number - self.program.first_expression].operation
        return np.broadcast_to(operation(self), len(self.members.groups))

    def value(self, number: int) -> FloatColumn:
        return self.x[number]

    def tag(self, name: str) -> FloatColumn:
        raise AssertionError(f"the tag {name} is one of devices, not of groups")

    def ranged(self, ring: int, function: str) -> FloatColumn:
        raise AssertionError(f"{function} of range {ring} is one of devices, not of groups")


class Observer:
    """Looks at devices for the rules of groups. `aggregates`: all of them, in the order of the inputs of `program`."""

    def __init__(self, program: Program, aggregates: Sequence[Aggregate], state: RuleState) -> None:
        self._program = program
        self._aggregates = aggregates
        self._state = state

    def look(
        self, members: Members, numbers: Iterable[int], at: Instant, now: IntColumn | None = None
    ) -> GroupLook:
        """The columns of a rule with these members that reads these aggregates; `now`: that of every device, ms."""
        now = self._state.now(at.listening) if now is None else now
        devices = DeviceValues(self._state, members.devices, now, at)
        observed = {number: self._aggregates[number].observe(devices) for number in numbers}
        x = {number: self._aggregates[number].over(each, members.start) for number, each in observed.items()}
        return GroupLook(self._program, members, observed, x)

    def named(self, look: GroupLook, group: int, *, above: bool) -> str:
        """The devices that a group's first aggregate is about, the worst first: the highest if `above`, but of `min`.

        Of a condition they are those on which it holds.
        """
        number, (value, counted) = next(iter(look.observed.items()))
        place = int(np.searchsorted(look.members.groups, group))
        ends = np.append(look.members.start, len(look.members.devices))
        own = np.arange(ends[place], ends[place + 1])
        own, aggregate = own[counted[own]], self._aggregates[number]
        if aggregate.is_condition:
            own = own[value[own] == 1]
        else:
            lowest = not above or aggregate.function == "min"
            own = own[np.argsort(value[own] if lowest else -value[own], kind="stable")]
        names = [self._state.registry.device_name[device] for device in look.members.devices[own].tolist()]
        more = [] if len(names) <= MOST_NAMED else [f"and {len(names) - MOST_NAMED} more"]
        return ", ".join([*names[:MOST_NAMED], *more])
