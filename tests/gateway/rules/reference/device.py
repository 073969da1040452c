"""What a device has sent, as rules see it: its clock, its births, what is recorded of it, and its inputs of rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.gateway.rules.reference.clock import Clock
from tests.gateway.rules.reference.definitions import RuleFile
from tests.gateway.rules.reference.expressions import RECORD_NAMES, RECORDS, Expression, Value
from tests.gateway.rules.reference.inputs import Inputs, Range, Seen


class Message(NamedTuple):
    """A message of one sample, with the moment it arrives: wall and listening clock, ms."""

    device: str
    site: str
    boot: int
    seq: int
    ts: int
    values: dict[str, Value | bool]
    wall: int
    listening: int


class Birth(NamedTuple):
    """A birth that names these metrics, and the next seq."""

    device: str
    site: str
    boot: int
    metrics: tuple[str, ...]
    next_seq: int
    ts: int | None
    wall: int
    listening: int


class Will(NamedTuple):
    """The broker says that a device is offline."""

    device: str
    site: str
    wall: int
    listening: int


class Look(NamedTuple):
    """A reading as rules look at it: its time, and the metrics that they may act on."""

    at: int
    fresh: frozenset[str]


Ranges = dict[Range, list[tuple[int, float]]]
OF_RECORDS = frozenset(metric for formula in RECORDS for metric in formula.metrics) | set(RECORD_NAMES)


@dataclass
class Device:
    """`now_read`: the newest time rules have taken; `heard`: the listening clock then. `first`: the time of the first
    reading. `old`: the newest reading was too old to act on. `born`: the arrival of the first birth, `named`: of the
    first that names a metric; by the listening clock. `names`: those of the newest birth.
    """

    name: str
    site: str
    inputs: Inputs
    recorded: Inputs
    seqs: set[tuple[int, int]] = field(default_factory=set)
    clock: Clock = field(default_factory=Clock)
    now_read: int = 0
    heard: int = 0
    first: int = 0
    old: bool = False
    born: int | None = None
    boot: int | None = None
    boots: int = 0
    named: dict[str, int] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, site: str, file: RuleFile) -> Device:
        formulas: Ranges = {key: [] for formula in RECORDS for key in formula.ranges}
        recorded = Inputs(OF_RECORDS, file.lookbacks, ranges=formulas)
        return cls(name, site, Inputs(file.inputs, file.lookbacks, ranges=ranges_of(file, site)), recorded)

    def now(self, listening: int) -> int:
        return self.now_read + max(0, listening - self.heard)

    def watch(self, metrics: Iterable[str]) -> None:
        """Take in that rules miss these metrics from here on: what the newest birth names counts from the first."""
        for metric in metrics:
            self.named.pop(metric, None)
            if metric in self.names and self.born is not None:
                self.named[metric] = self.born

    def take(self, message: Message, at: int) -> Look:
        """Take in a reading."""
        if message.boot != self.boot:
            self.boot, self.boots = message.boot, self.boots + 1
        self.now_read = max(self.now_read, at)
        values = {
            metric: str(given).lower() if isinstance(given, bool) else given
            for metric, given in message.values.items()
        }
        order = self.boots, message.seq
        values |= self._record(values, at, order)
        newest = {
            metric for metric, value in values.items() if self.inputs.take(metric, Seen(at, order, value))
        }
        age = self.now_read - at
        fresh = {metric for metric in newest if age <= self.inputs.lookback(metric)}
        return Look(at, frozenset(fresh & self.inputs.wanted))

    def _record(self, values: Mapping[str, Value], at: int, order: tuple[int, int]) -> dict[str, Value]:
        """What records make of a reading: of the newest of a metric with the last values of the others, of a late one
        with those beside it, and then nothing of ranges.
        """
        inputs, found = self.recorded, dict[str, Value]()
        own = {metric: value for metric, value in values.items() if metric in OF_RECORDS}
        newest = {metric for metric, value in own.items() if inputs.take(metric, Seen(at, order, value))}
        known = {metric for metric in newest if self.now_read - at <= inputs.lookback(metric)}
        for name, formula in zip(RECORD_NAMES, RECORDS, strict=True):
            value = self._formula(formula) if newest & set(formula.metrics) else None
            if value is not None:
                found[name] = value
                newest |= {name} if inputs.take(name, Seen(at, order, value)) else set()
        if known == own.keys():
            return found
        beside = {**own, **found}
        for name, formula in zip(RECORD_NAMES, RECORDS, strict=True):
            if name not in found and not formula.ranges and set(formula.metrics) & beside.keys():
                value = formula.of(beside.get, lambda *_: ())
                if value is not None:
                    found[name] = beside[name] = value
        return found

    def _formula(self, formula: Expression) -> float | bool | None:
        now = self.recorded.newest_of(formula.metrics)
        return formula.of(
            lambda metric: self.recorded.known(metric, self.now_read),
            lambda metric, ms, family: self.recorded.samples(metric, ms, family, now),
        )

    def go_back(self, ts: int, listening: int) -> int:
        """Follow a clock that went back to `ts`: what is remembered keeps its distance from now. By how much, ms."""
        by = ts - self.now(listening)
        self.first = max(self.first + by, 1) if self.first else 0
        self.now_read = 0
        self.inputs.set_back(by)
        self.recorded.set_back(by)
        return by


def ranges_of(file: RuleFile, site: str) -> Ranges:
    """The ranges that the rules of a site's devices read, without samples."""
    rules = [rule for rule in file.rules if not rule.sites or site in rule.sites]
    return {key: [] for rule in rules for each in rule.expressions for key in each.ranges}
