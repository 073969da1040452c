"""What births say about devices, within bounds: always what windows and rules need, the rest while space allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from fleet_wire.control_messages import Birth

MOST_TAGS = 1_024
"""Characters (names and values) kept of one device's tags beyond those that are needed."""
MOST_UNITS = 8_192
"""Characters (metric names and units) kept of one device's units beyond those that are needed."""
MOST_KINDS = 4_096
"""Characters (metric names and kinds) kept of one device's declared kinds beyond those that are needed."""
_SPARE = 64

Texts = Mapping[str, str]
_Pairs = tuple[tuple[str, str], ...]


class Needed(NamedTuple):
    """What is kept of any birth, however long: tags forwarded or used by rules, and metrics whose unit rules check."""

    tags: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()


class BirthFacts(NamedTuple):
    """What is kept of a birth.

    Attributes:
        type: the device type.
        tags: tag values by name.
        units: units by metric.
        kinds: "number" or "state" by metric, for metrics without a unit (a unit implies numbers).
        position: (latitude, longitude) in degrees, or None.
    """

    type: str
    tags: Texts
    units: Texts
    kinds: Texts
    position: tuple[float, float] | None


class Births:
    """The newest facts of each device by number. Equal mappings are shared between devices."""

    def __init__(self) -> None:
        self.facts: dict[int, BirthFacts] = {}
        self.cut: set[int] = set()
        """Devices whose newest birth was too long to keep whole."""
        self.cuts = 0
        """Births that were too long to keep whole, in total."""
        self._shared: dict[_Pairs, Texts] = {}

    def take(self, device: int, birth: Birth, needed: Needed) -> BirthFacts:
        """Store a birth's facts, within the bounds, and return them."""
        all_units = {name: info.unit for name, info in birth.metrics.items() if info.unit}
        tags = _within(MOST_TAGS, birth.tags.items(), needed.tags)
        units = _within(MOST_UNITS, all_units.items(), needed.units)
        declared = _kinds(birth)
        kinds = _within(MOST_KINDS, declared.items(), needed.units)
        position = None if birth.lat is None or birth.lon is None else (birth.lat, birth.lon)
        facts = BirthFacts(birth.type, self._share(tags), self._share(units), self._share(kinds), position)
        self.facts[device] = facts
        kept = (len(tags), len(units), len(kinds))
        self._note_cut(device, cut=kept != (len(birth.tags), len(all_units), len(declared)))
        return facts

    def _note_cut(self, device: int, *, cut: bool) -> None:
        if cut:
            self.cut.add(device)
            self.cuts += 1
        else:
            self.cut.discard(device)

    def _share(self, pairs: _Pairs) -> Texts:
        if len(self._shared) > 4 * len(self.facts) + _SPARE:
            held = (
                texts for facts in self.facts.values() for texts in (facts.tags, facts.units, facts.kinds)
            )
            self._shared = {tuple(texts.items()): texts for texts in held}
        return self._shared.setdefault(pairs, dict(pairs))

    def forget(self, device: int) -> None:
        """Drop the facts of the device that had this number before."""
        self.facts.pop(device, None)
        self.cut.discard(device)

    def retire(self, device: int) -> None:
        """Drop a retired device's facts except type and tags, which its closing alerts still show."""
        facts = self.facts.get(device)
        if facts is not None:
            self.facts[device] = BirthFacts(facts.type, facts.tags, {}, {}, None)
        self.cut.discard(device)

    def snapshot(self) -> dict[str, Any]:
        facts = self.facts.values()
        return {
            "device": list(self.facts),
            "type": [one.type for one in facts],
            "tags": [one.tags for one in facts],
            "units": [one.units for one in facts],
            "kinds": [one.kinds for one in facts],
            "position": [one.position for one in facts],
            "cut": sorted(self.cut),
            "cuts": self.cuts,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.facts, self._shared = {}, {}
        names = ("device", "type", "tags", "units", "kinds", "position")
        rows = zip(*(state[name] for name in names), strict=True)
        for device, kind, *texts, position in rows:
            tags, units, kinds = (self._share(tuple(one.items())) for one in texts)
            place = None if position is None else tuple(position)
            self.facts[device] = BirthFacts(kind, tags, units, kinds, place)
        self.cut, self.cuts = set(state["cut"]), state["cuts"]


def _kinds(birth: Birth) -> dict[str, str]:
    """Return the kinds a birth declares: by `kind`, or by limits, which only numbers have. Units are not considered."""
    found: dict[str, str] = {}
    for name, info in birth.metrics.items():
        limits = (info.min, info.max, info.warning, info.critical)
        kind = info.kind or ("number" if any(one is not None for one in limits) else None)
        if kind == "state" or (kind and not info.unit):
            found[name] = kind
    return found


def _within(most: int, pairs: Iterable[tuple[str, str]], needed: frozenset[str]) -> _Pairs:
    """Return the needed pairs, and of the others, in order, those that fit into `most` characters."""
    kept = []
    for name, text in pairs:
        if name in needed:
            kept.append((name, text))
            continue
        most -= len(name) + len(text)
        if most >= 0:
            kept.append((name, text))
    return tuple(kept)
