"""Rules that are valid and cannot work: warnings of `rules check`.

Some of it shows in the rule alone. Misspelt names show only beside names that are known: those of the fleet's devices,
and of the rules' own tests.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_gateway.rules.language import truth
from edge_gateway.rules.language.analysis import analyse
from edge_gateway.rules.language.expression import Compare, MetricRef, TagRef, walk
from edge_gateway.rules.language.ruleset import DEFAULT_LOOKBACK, lookbacks_of
from fleet_config.durations import format_duration
from fleet_config.match import PROPERTIES, Match
from fleet_config.problems import suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from edge_gateway.rules.files.load import PlacedRule
    from edge_gateway.rules.files.places import Place
    from edge_gateway.rules.language.analysis import Analysis
    from edge_gateway.rules.language.expression import Node
    from edge_gateway.rules.language.ruleset import Level, Rule
    from fleet_config.problems import Problem

_FITS_NONE = "no known device fits"


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A device of the fleet or of a test."""

    site: str
    name: str
    type: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class KnownNames:
    """What devices and metrics there are. `judges` says whether that is enough to judge the names of a rule file.

    Without a fleet only the tests of a file say what it is about. `lookback`: how long last values count by default,
    ms. `measured`: devices with the metrics that the inventory says they send.
    """

    devices: Collection[KnownDevice]
    metrics: frozenset[str]
    judges: Callable[[str], bool]
    lookback: int = DEFAULT_LOOKBACK
    measured: Collection[tuple[KnownDevice, str]] = ()

    @property
    def tags(self) -> frozenset[str]:
        return frozenset(tag for device in self.devices for tag in device.tags)


def warnings_of(rules: Sequence[PlacedRule], known: KnownNames) -> tuple[Problem, ...]:
    """What cannot work, in the order of the files, each once."""
    records = {rule.name for rule, _ in rules if rule.record}
    read = Counter(name for rule, _ in rules for name, _ in rule.metrics)
    lookbacks = lookbacks_of([rule for rule, _ in rules])
    check = _Check(known, known.metrics | records, known.tags, read, lookbacks)
    found = [problem for placed in rules for problem in check.rule(placed)]
    return tuple(sorted(set(found)))


@dataclass(frozen=True, slots=True)
class _Check:
    known: KnownNames
    metrics: frozenset[str]
    tags: frozenset[str]
    read: Mapping[str, int]
    """How many expressions name each metric."""
    lookbacks: Mapping[str, int]
    """How long last values count, ms, of metrics with a time of their own."""

    def rule(self, placed: PlacedRule) -> Iterator[Problem]:
        rule, place = placed
        yield from _conditions(rule, place)
        yield from _commands(rule, place)
        yield from self._waits(rule, place)
        for key in rule.by:
            yield from self._key("by", key, place.at("by"))
        unmatched = [*self._matches(rule, place)]
        yield from unmatched
        if any(problem.message.endswith(_FITS_NONE) for problem in unmatched):
            return  # a rule for other devices has other names
        for text, where in _expressions(rule, place):
            yield from self._names(analyse(text), where)
        if rule.no_data is not None and place.at("no_data", "metric").exists:
            yield from self._metric(rule.no_data.metric, place.at("no_data", "metric"))

    def _waits(self, rule: Rule, place: Place) -> Iterator[Problem]:
        """Waits that a value outlasts only if it is read again: `for` reaches the lookback of what it watches."""
        least = {name: self.lookbacks.get(name, self.known.lookback) for name, _ in rule.metrics}
        if not least or rule.by:
            return
        name = min(least, key=lambda each: least[each])
        for level, here in _levels(rule, place):
            if level.for_ms >= least[name] and here.at("for").exists:
                counts = f"{name} counts for {format_duration(least[name])}, its lookback"
                told = "if it comes more seldom this never fires; set a longer one in 'metrics' of the group"
                yield here.at("for").problem(f"for: {counts}; {told}")

    def _judges(self, place: Place) -> bool:
        return self.known.judges(place.source.document.name)

    def _metric(self, name: str, place: Place) -> Iterator[Problem]:
        if self._judges(place) and name not in self.metrics:
            yield place.problem(f"metric: {self._unknown(name)}")

    def _unknown(self, name: str) -> str:
        return f"no device, test or record has a metric '{name}'{suggest(name, self.metrics)}"

    def _names(self, analysis: Analysis, place: Place) -> Iterator[Problem]:
        words = dict(_unquoted(analysis.tree))
        for node in walk(analysis.tree):
            if isinstance(node, TagRef):
                yield from self._tag(node, place)
            elif not isinstance(node, MetricRef) or node.name in self.metrics:
                continue
            elif node.at in words and (self._judges(place) or self.read[node.name] == 1):
                told = f"'{node.name}' is read as a metric, which nothing has; put a text in quotes"
                yield place.problem_within(node.at, f'{told}: {words[node.at]} "{node.name}"')
            elif self._judges(place):
                yield place.problem_within(node.at, self._unknown(node.name))

    def _tag(self, node: TagRef, place: Place) -> Iterator[Problem]:
        if node.name in self.tags:
            return
        if node.name in PROPERTIES:
            yield place.problem_within(
                node.at, f"'{node.name}' is no tag; select by it with match: {{{node.name}: …}}"
            )
        elif self._judges(place):
            near = suggest(node.name, self.tags)
            yield place.problem_within(node.at, f"no device has a tag '{node.name}'{near}")

    def _matches(self, rule: Rule, place: Place) -> Iterator[Problem]:
        group = place.source.at(*place.path[:2])
        places = [each for each in (group.at("match"), place.at("match")) if each.exists]
        yield from self._match(places)
        for number in range(len(rule.overrides)):
            yield from self._match([*places, place.at("overrides", number, "match")])

    def _match(self, places: Sequence[Place]) -> Iterator[Problem]:
        """Matches that must all fit: keys that no device has, else the first that leaves no device."""
        matches = [(place, _globs(place)) for place in places]
        unknown = [
            problem
            for place, globs in matches
            for key in globs
            for problem in self._key("match", key, place.at(key), is_key=True)
        ]
        yield from unknown
        if unknown or not self.known.devices:
            return
        fitted = [Match.of(globs) for _, globs in matches]
        for number, (place, _) in enumerate(matches, 1):
            if not self._fits_any(fitted[:number]) and self._judges(place):
                yield place.problem(f"match: {_FITS_NONE}")
                return

    def _fits_any(self, matches: Sequence[Match]) -> bool:
        return any(
            all(match.matches(one.site, one.name, one.type, one.tags) for match in matches)
            for one in self.known.devices
        )

    def _key(self, of: str, key: str, place: Place, *, is_key: bool = False) -> Iterator[Problem]:
        if key in PROPERTIES or key in self.tags:
            return
        near = suggest(key, [*PROPERTIES, *self.tags])
        if self._judges(place) or near:
            yield place.problem(f"{of}: no device has a tag '{key}'{near}", key=is_key)


def _globs(place: Place) -> dict[str, list[str]]:
    globs = place.source.document.get(place.path)
    return {key: [each] if isinstance(each, str) else list(each) for key, each in globs.items()}


def _expressions(rule: Rule, place: Place) -> Iterator[tuple[str, Place]]:
    """Each expression of a rule with its place."""
    if rule.expr is not None:
        yield rule.expr, place.at("expr")
    for level, here in _levels(rule, place):
        for key, text in (("expr", level.expr), ("clear", level.clear_expr)):
            if text is not None:
                yield text, here.at(key)


def _levels(rule: Rule, place: Place) -> Iterator[tuple[Level, Place]]:
    """Each level with the place of its keys: in the rule, or in its `levels`."""
    for level in rule.levels:
        own = place.at("levels", level.level)
        yield level, own if own.exists else place


def _conditions(rule: Rule, place: Place) -> Iterator[Problem]:
    """Conditions that never or always hold, and clears that do."""
    for level, here in _levels(rule, place) if rule.is_condition else ():
        condition = analyse(level.expr or rule.expr or "").tree
        if truth.never(condition):
            yield here.at("expr").problem("expr: this condition never holds")
        elif truth.always(condition):
            yield here.at("expr").problem("expr: this condition always holds")
        elif level.clear_expr is not None:
            yield from _clear(condition, analyse(level.clear_expr).tree, here.at("clear"))


def _clear(condition: Node, clear: Node, place: Place) -> Iterator[Problem]:
    if truth.never(clear):
        yield place.problem("clear: this condition never holds, so that the alert never ends")
    elif truth.implies(condition, clear):
        yield place.problem("clear: it holds whenever 'expr' does, so that the alert ends at once")


def _commands(rule: Rule, place: Place) -> Iterator[Problem]:
    """Commands that are only sent on events that the rule never has."""
    missing = {
        "no_data": rule.no_data is None and "it has no 'no_data'",
        "repeat": rule.repeat_ms is None and "it has no 'repeat'",
        "escalated": _has_no_second_level(rule) and "it has no second level",
        "deescalated": _has_no_second_level(rule) and "it has no second level",
    }
    for number, command in enumerate(rule.commands):
        why = [f"{event}: {missing[event]}" for event in command.on if missing.get(event)]
        if len(why) == len(command.on):
            yield place.at("commands", number, "on").problem(
                f"on: the rule never sends it on {'; nor on '.join(why)}"
            )


def _has_no_second_level(rule: Rule) -> bool:
    raised = [rule.no_data.level] if rule.no_data is not None and rule.no_data.state == "alerting" else []
    return len({*raised, *(level.level for level in rule.levels)}) <= 1


def _unquoted(tree: Node) -> Iterator[tuple[int, str]]:
    """Where metrics are that may be meant as texts, as `open` in `door == open`, with what stands before them."""
    for node in walk(tree):
        if isinstance(node, Compare) and len(node.rest) == 1:
            (op, right) = node.rest[0]
            if op in ("==", "!=") and isinstance(node.first, MetricRef) and isinstance(right, MetricRef):
                yield right.at, f"{node.first.name} {op}"
