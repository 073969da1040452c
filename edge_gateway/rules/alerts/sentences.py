"""What is said of an alert instead of a text that names a value, where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edge_gateway.rules.alerts.state_machine import StateChange
    from edge_gateway.rules.language.ruleset import Rule

_DOES: Final = {
    "inactive": "did not fire",
    "pending": "is about to fire",
    "firing": "is firing",
    "resolved": "has ended",
}
_ENDS: Final = {
    "expired": "the last {metric} of {device} is too old to judge",
    "reload": "{rule} was changed and no longer holds for {device}",
    "removed": "{rule} was removed from the rules",
    "moved": "{rule} no longer applies to {device}",
    "retired": "{device} is no longer watched",
}
_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms"))


def without_value(rule: Rule, device: str, change: StateChange, *, silent: bool) -> str:
    """The sentence that tells a change of which no value is known; `silent`: only silence makes the alert fire."""
    if rule.no_data is not None and (silent or change.cause == "no_data"):
        return f"{device} has sent no {rule.no_data.metric} for {spoken(rule.no_data.after_ms)}"
    if change.state in ("resolved", "inactive") and change.cause in _ENDS:
        return _ENDS[change.cause].format(rule=rule.name, device=device, metric=rule.metric)
    return f"{rule.name} {_DOES[change.state]} on {device}"


def spoken(ms: int) -> str:
    """A duration in its largest whole unit: `2 min`, `90 s`."""
    size, unit = next((size, unit) for size, unit in _UNITS if not ms % size)
    return f"{ms // size} {unit}"
