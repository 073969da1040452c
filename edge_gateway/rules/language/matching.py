"""Find the rules of a device, and the override of each.

Most matches do not name devices, so their result is cached by (site, type, tags). Matches that name devices are
indexed by name. Either way only matches that can fit are evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from fleet_config.match import UNKNOWN, Match

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edge_gateway.rules.language.ruleset import Rule

K = TypeVar("K")
V = TypeVar("V")

Variant = tuple[int, int]
"""(rule number, override number); override -1: none."""

_WILDCARDS: Final = "*?["
_FIXED: Final = ("site", "device", "type")
_MAX_CACHED: Final = 10_000
"""Cached results; devices that keep changing their tags must not take more and more memory."""
_MOST_SELECTIVE: Final = ("device", "tag", "site", "type")


@dataclass(slots=True)
class _Index:
    """Matches by an exact value that a device must have to fit; in `rest` those that need none."""

    by_value: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    keys: dict[str, None] = field(default_factory=dict)
    rest: list[int] = field(default_factory=list)

    def add(self, number: int, match: Match) -> None:
        exact = {
            key: globs
            for key, globs in match.globs
            if not any(c in glob for glob in globs for c in _WILDCARDS)
        }
        if not exact:
            self.rest.append(number)
            return
        key = min(exact, key=_rank_of_key)
        self.keys[key] = None
        for value in dict.fromkeys(exact[key]):
            self.by_value.setdefault((key, value), []).append(number)

    def candidates(self, attributes: Mapping[str, str]) -> Iterable[int]:
        yield from self.rest
        for key in self.keys:
            yield from self.by_value.get((key, attributes.get(key, UNKNOWN)), ())


def _rank_of_key(key: str) -> int:
    return _MOST_SELECTIVE.index(key if key in _FIXED else "tag")


def _cached(cache: dict[K, V], key: K, value: V) -> V:
    if len(cache) >= _MAX_CACHED:
        cache.clear()
    cache[key] = value
    return value


class RuleMatcher:
    """Finds the rules of a device. Equal matches are numbered and evaluated once."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._matches: list[Match] = []
        self._number: dict[Match, int] = {}
        self._common, self._by_name = _Index(), _Index()
        self._used_tags: dict[str, None] = {}
        self._always: list[int] = []
        self._last_needed: dict[int, list[int]] = {}
        self._needed: list[tuple[int, ...]] = []
        self._overrides: list[tuple[int, ...]] = []
        for rule_number, rule in enumerate(rules):
            self._add(rule_number, rule)
        self._fitting: dict[tuple[str | None, ...], tuple[int, ...]] = {}
        self._variants: dict[tuple[int, ...], tuple[Variant, ...]] = {}

    def _add(self, rule_number: int, rule: Rule) -> None:
        needed = tuple(self._numbered(match) for match in rule.match if match)
        self._needed.append(needed)
        self._overrides.append(tuple(self._numbered(override.match) for override in rule.overrides))
        if needed:
            self._last_needed.setdefault(needed[-1], []).append(rule_number)
        else:
            self._always.append(rule_number)

    def _numbered(self, globs: Mapping[str, Sequence[str]]) -> int:
        match = Match.of(globs)
        known = self._number.get(match)
        if known is not None:
            return known
        number = self._number[match] = len(self._matches)
        self._matches.append(match)
        (self._by_name if "device" in globs else self._common).add(number, match)
        self._used_tags.update(dict.fromkeys(key for key in globs if key not in _FIXED))
        return number

    def variants(
        self, site: str, device: str, device_type: str, tags: Mapping[str, str]
    ) -> tuple[Variant, ...]:
        """The device's rules in the order of the set, each with the first override that fits."""
        signature = (site, device_type, *(tags.get(key) for key in self._used_tags))
        fitting = self._fitting.get(signature)
        attributes = {**tags, "site": site, "device": device, "type": device_type}
        if fitting is None:
            fitting = _cached(self._fitting, signature, self._evaluated(self._common, attributes))
        by_name = self._by_name.keys or self._by_name.rest
        named = self._evaluated(self._by_name, attributes) if by_name else ()
        key = fitting + named
        selected = self._variants.get(key)
        if selected is None:
            selected = _cached(self._variants, key, self._selected(frozenset(key)))
        return selected

    def _evaluated(self, index: _Index, attributes: Mapping[str, str]) -> tuple[int, ...]:
        candidates = sorted(set(index.candidates(attributes)))
        return tuple(number for number in candidates if self._matches[number].fits(attributes))

    def _selected(self, fitting: frozenset[int]) -> tuple[Variant, ...]:
        possible = [*self._always, *(rule for match in fitting for rule in self._last_needed.get(match, ()))]
        rules = sorted(rule for rule in possible if fitting.issuperset(self._needed[rule]))
        return tuple((rule, self._override(rule, fitting)) for rule in rules)

    def _override(self, rule: int, fitting: frozenset[int]) -> int:
        return next((place for place, match in enumerate(self._overrides[rule]) if match in fitting), -1)
