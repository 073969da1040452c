"""What an edit of the rules does to the state of each: decided by `alerts.reload`, as a reload decides."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec

from edge_gateway.rules.alerts.reload import Fate, successors
from edge_gateway.rules.inspection.in_force import key_of, kind_of
from edge_gateway.rules.inspection.wording import devices_of, limits_of
from edge_gateway.rules.language.printing import readable
from fleet_config.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from edge_gateway.rules.alerts.reload import Successor
    from edge_gateway.rules.language.ruleset import Rule, RuleSet

Change = Literal["added", "removed", "changed", "unchanged"]

_KEYS: Final = {
    "keep_ms": "keep_firing_for",
    "warmup_ms": "warmup",
    "repeat_ms": "repeat",
    "lookbacks": "lookback",
}
"""What fields of a rule are called in its file, where that is another name."""
_IDENTITY: Final = ("name", "record")


class Difference(NamedTuple):
    """A key of a rule, and what it says before and after."""

    key: str
    before: str
    after: str


class RuleChange(NamedTuple):
    """What becomes of one rule.

    Attributes:
        effect: what that does to its state.
        renamed: of a removed rule the new one that has its content under another name; of that, the removed one.
    """

    rule: Rule
    change: Change
    effect: str
    differences: tuple[Difference, ...] = ()
    renamed: str | None = None


def compare(old: RuleSet, new: RuleSet) -> list[RuleChange]:
    """What becomes of every rule: those of the new set in its order, then those that are removed."""
    before = {key_of(rule): rule for rule in old.rules}
    alerts = (*old.alerts, *old.group_alerts)
    successors_of = successors(alerts, (*new.alerts, *new.group_alerts))
    following = dict(zip(map(key_of, alerts), successors_of, strict=True))
    kept = {key_of(rule) for rule in new.rules}
    gone = [rule for key, rule in before.items() if key not in kept]
    found = [_change(rule, before.get(key_of(rule)), following.get(key_of(rule)), gone) for rule in new.rules]
    added = [each.rule for each in found if each.change == "added"]
    return [*found, *(_removal(rule, added) for rule in gone)]


def _change(rule: Rule, old: Rule | None, successor: Successor | None, gone: Sequence[Rule]) -> RuleChange:
    if old is None:
        return RuleChange(rule, "added", "begins with the next reading", renamed=_namesake(rule, gone))
    if old == rule:
        return RuleChange(rule, "unchanged", "keeps all")
    effect = _effect_on_record(old, rule) if successor is None else _effect(old, rule, successor)
    return RuleChange(rule, "changed", effect, tuple(_differences(old, rule)))


def _removal(rule: Rule, added: Sequence[Rule]) -> RuleChange:
    effect = "is derived no more" if rule.record else "its alerts are resolved"
    return RuleChange(rule, "removed", effect, renamed=_namesake(rule, added))


def _namesake(rule: Rule, others: Sequence[Rule]) -> str | None:
    """The first of the others with the same content under another name."""
    return next((other.name for other in others if replace(other, name=rule.name) == rule), None)


def _effect(old: Rule, new: Rule, successor: Successor) -> str:
    match successor.fate:
        case Fate.DROPPED:
            return "reset: its alerts are resolved, and nothing is kept"
        case Fate.RESTARTED:
            effect = "drops what waits and the value history; what fires stays until a reading evaluates it"
        case Fate.KEPT:
            effect = "keeps what waits, what fires and the value history"
    if (old.match, old.overrides) != (new.match, new.overrides):
        effect += "; where devices or levels no longer fit, the alert ends"
    if old.no_data is not None and not successor.keeps_absence:
        effect += "; silence is judged anew"
    return effect


def _effect_on_record(old: Rule, new: Rule) -> str:
    return "keeps the value history" if old.expr == new.expr else "drops the value history"


def _differences(old: Rule, new: Rule) -> Iterator[Difference]:
    for field in fields(old):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before != after and field.name not in _IDENTITY:
            said = _SAID.get(field.name, _plain)
            yield Difference(_KEYS.get(field.name, field.name), said(old, before), said(new, after))


def _plain(_: Rule, value: Any) -> str:
    """A value in words if it is a text, a number or nothing, else as JSON."""
    if value is None or value in ((), {}):
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    return msgspec.json.encode(msgspec.to_builtins(value)).decode()


def _duration(_: Rule, value: int | None) -> str:
    return "none" if value is None else format_duration(value)


def _expression(_: Rule, value: str | None) -> str:
    return "none" if value is None else readable(value)


def _lookbacks(_: Rule, value: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {format_duration(ms)}" for name, ms in value.items()) or "default"


def _overrides(rule: Rule, _: Any) -> str:
    said = [f"{devices_of([each.match])}: {limits_of(rule, each)}" for each in rule.overrides]
    return " | ".join(said) or "none"


_SAID: Final[dict[str, Callable[[Rule, Any], str]]] = {
    "match": lambda _, value: devices_of(value),
    "expr": _expression,
    "levels": lambda rule, _: limits_of(replace(rule, no_data=None, at=())) or "none",
    "no_data": lambda rule, _: limits_of(replace(rule, levels=(), at=())) or "none",
    "overrides": _overrides,
    "lookbacks": _lookbacks,
    "by": lambda _, value: ", ".join(value) or "each device",
    **dict.fromkeys(("keep_ms", "warmup_ms", "repeat_ms"), _duration),
}


def as_row(change: RuleChange) -> dict[str, Any]:
    """A change for an answer."""
    return {
        "rule": change.rule.name,
        "kind": kind_of(change.rule),
        "change": change.change,
        "effect": change.effect,
        "differences": [each._asdict() for each in change.differences],
        "renamed": change.renamed,
    }
