"""What a rule keeps of its state when its file is edited."""

from __future__ import annotations

from tests.gateway.rules.reference.definitions import RANKS, Definition, Level, RuleFile
from tests.gateway.rules.reference.inputs import Range
from tests.gateway.rules.reference.state import State, sides


def is_reset(rule: Definition, old: RuleFile, new: RuleFile) -> bool:
    """Whether a file begins a rule anew that another file has, too: its content is another, lookbacks included."""
    (other,) = [each for each in new.rules if each.name == rule.name]
    lookbacks = [[file.lookbacks.get(metric) for metric in other.inputs] for file in (old, new)]
    return other.resets and (rule != other or lookbacks[0] != lookbacks[1])


def kept_ranges(old: RuleFile, new: RuleFile) -> set[Range]:
    """Ranges of the expressions that a rule had before, too; a changed one drops its value history."""
    before = {rule.name: {each.text for each in rule.expressions} for rule in old.rules}
    return {
        key
        for rule in new.rules
        for each in rule.expressions
        if each.text in before.get(rule.name, ())
        for key in each.ranges
    }


def carry(one: State, old: Definition, new: Definition, zone: str) -> None:
    """Carry the state of an alert over an edit of its rule."""
    _rename(one, old, new)
    if _silence_of(old) != _silence_of(new) or not new.watches:
        one.absent, one.back = False, 0
    pairs = [(level, _before(level, old, new)) for level in new.levels]
    restarted = old.expression != new.expression or any(
        before is not None and level.own != before.own for level, before in pairs
    )
    for name in RANKS:
        if name not in new.level_of:
            one.rest(name)
    for level, before in pairs:
        if restarted:
            one.up.pop(level.name, None)
            one.down.pop(level.name, None)
            one.value[level.name] = None
        elif before is not None and before.ends != level.ends:
            one.down.pop(level.name, None)
        if level.limit is not None and not restarted:
            _judge_again(one, new, level, zone)


def _judge_again(one: State, rule: Definition, level: Level, zone: str) -> None:
    """What waits, or is held, goes on only if it does so by the new limit, too."""
    if level.name not in one.judged:
        return
    up, down = sides(rule, level, (one.value.get(level.name), None), zone, one.judged[level.name])
    if not up:
        one.up.pop(level.name, None)
    if not down:
        one.down.pop(level.name, None)


def _silence_of(rule: Definition) -> tuple[str, str] | None:
    return None if rule.silence is None else (rule.silence.metric, rule.silence.state)


def _renamed(old: Definition, new: Definition) -> dict[str, str]:
    """The levels that have another severity now: lost and new ones are paired from the lowest up."""
    lost = [name for name in RANKS if name in old.level_of and name not in new.level_of]
    added = [name for name in RANKS if name in new.level_of and name not in old.level_of]
    return dict(zip(lost, added, strict=False))


def _before(level: Level, old: Definition, new: Definition) -> Level | None:
    """What a level was before the edit; None if it is new."""
    names = {to: name for name, to in _renamed(old, new).items()}
    return old.level_of.get(names.get(level.name, level.name))


def _rename(one: State, old: Definition, new: Definition) -> None:
    names = _renamed(old, new)
    for field in ("on", "up", "down", "count", "value", "judged"):
        values = {level: each for level, each in getattr(one, field).items() if level not in names.values()}
        setattr(one, field, {names.get(level, level): each for level, each in values.items()})
    one.on = dict.fromkeys(RANKS, False) | one.on
