"""Decide what an apply does, and what it must not do unasked, from the wanted, the present and the applied state."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from edge_gateway.errors import BadInput
from edge_gateway.sinks.influx.setup.documents import Key
from edge_gateway.sinks.influx.setup.facts import Facts, differences, digest
from edge_gateway.sinks.influx.setup.shards import count, fitting, misfit
from fleet_config.durations import format_duration
from fleet_wire.printable import printable

_DAY: Final = 86_400

What = Literal["create", "adopt", "update", "keep", "remove"]


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the user allows: names to take over; with `force`, also deleting points and undoing changes by hand."""

    adopt: tuple[str, ...] = ()
    force: bool = False


@dataclass(frozen=True, slots=True)
class Present:
    """An existing resource; `ours` if it belongs to the stack."""

    facts: Facts
    ours: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What an apply does, or did, to a resource; `differs` says how it deviates from the templates."""

    what: What
    kind: str
    name: str
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The result of planning.

    Attributes:
        stack: its id, empty if there is none yet.
        changes: one for each resource, by kind and name.
        refusals: what must not be done unasked; if there are any, nothing is applied.
        warnings: what is left for the user to decide.
    """

    stack: str
    changes: tuple[Change, ...]
    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def in_step(self) -> bool:
        """The server has everything as the documents say."""
        kept = all(change.what == "keep" for change in self.changes)
        return bool(self.stack) and kept and not self.warnings


@dataclass(frozen=True, slots=True)
class Survey:
    """Wanted and present resources by kind and template name, and digests of what was applied, by `part_key`."""

    stack: str
    wanted: Mapping[Key, Facts]
    present: Mapping[Key, Present]
    applied: Mapping[str, str] = field(default_factory=dict)


def part_key(key: Key, part: str) -> str:
    """Return the name of a part among the applied digests."""
    return " ".join([*key, *([part] if part else [])])


def plan_of(survey: Survey, allowed: Allowed, now: float) -> Plan:
    """Return the plan at wall time `now` (s); BadInput when a name to adopt is unknown or ambiguous."""
    adopted = _adopted(survey, allowed.adopt)
    changes, refusals = [], []
    for key, facts in sorted(survey.wanted.items()):
        there = survey.present.get(key)
        change, refused = _change(survey, key, facts, there, adopted=key in adopted, now=now)
        changes.append(change)
        refusals += [text for text, forced in refused if not (forced and allowed.force)]
    for key, there in sorted(survey.present.items()):
        if key not in survey.wanted:
            changes.append(Change("remove", key[0], there.facts.name))
            if undone := [] if allowed.force else list(by_hand(survey.applied, key, {}, there.facts)):
                refusals.append(_changed_by_hand(key[0], there.facts.name, undone))
    changes.sort(key=lambda change: (change.kind, change.name))
    return Plan(survey.stack, tuple(changes), tuple(refusals))


def _change(
    survey: Survey, key: Key, wanted: Facts, there: Present | None, *, adopted: bool, now: float
) -> tuple[Change, list[tuple[str, bool]]]:
    """Return the change of a resource, and the reasons against it, each with whether --force overrides it."""
    kind = key[0]
    if there is None:
        return Change("create", kind, wanted.name), []
    differs = tuple(_differs(wanted, there.facts))
    refused = []
    if (text := _shorter(wanted, there.facts, now)) is not None:
        refused.append((text, True))
    if not there.ours:
        if not adopted:
            refused.insert(0, (_not_ours(kind, wanted.name, differs), False))
        return Change("adopt", kind, wanted.name, differs), refused
    if undone := list(by_hand(survey.applied, key, wanted.parts, there.facts)):
        refused.append((_changed_by_hand(kind, there.facts.name, undone), True))
    return Change("update" if differs else "keep", kind, wanted.name, differs), refused


def _differs(wanted: Facts, found: Facts) -> Iterator[str]:
    """Yield how a resource differs from the templates, which is what an apply changes."""
    if wanted.keeps != found.keeps:
        yield f"keeps {_span(found.keeps)}, not {_span(wanted.keeps)}"
    if wanted.keeps is not None and found.shards and misfit(wanted, found):
        yield (
            f"shards of {_span(found.shards)}, {count(wanted.keeps, found.shards):,} of them,"
            f" not of {_span(fitting(wanted.keeps))}"
        )
    for part in sorted(wanted.parts.keys() | found.parts.keys()):
        if part not in found.parts:
            yield f"{part} is missing"
        elif part not in wanted.parts:
            yield f"{part} is not in the templates"
        elif names := differences(wanted.parts[part], found.parts[part]):
            yield f"{part}: {', '.join(names)}" if part else ", ".join(names)


def by_hand(
    applied: Mapping[str, str], key: Key, wanted: Mapping[str, object], found: Facts
) -> Iterator[str]:
    """Yield the parts changed by hand since the last apply that are not as wanted.

    Args:
        applied: digests of what was applied last, by `part_key`.
        key: the resource's.
        wanted: its parts as they are to be; none where it is to go.
        found: the resource as it is.
    """
    for part, properties in sorted(found.parts.items()):
        if part in wanted and wanted[part] == properties:
            continue
        if applied.get(part_key(key, part)) != digest(properties):
            added = part not in wanted and part_key(key, part) not in applied
            yield f"{part or 'it'} was added" if added else f"{part or 'it'} was changed"


def _changed_by_hand(kind: str, name: str, by_hand: list[str]) -> str:
    clone = "clone the dashboard and change the clone, then --force" if kind == "Dashboard" else "--force"
    parts = printable("; ".join(by_hand), 1_000)
    return (
        f"{kind} '{printable(name)}': {parts}, by hand since the last apply, which would be undone: {clone}"
    )


def _not_ours(kind: str, name: str, differs: tuple[str, ...]) -> str:
    changes = f" and changes it ({printable('; '.join(differs), 500)})" if differs else ""
    shown = printable(name)
    return f"{kind} '{shown}' exists and is not the gateway's: --adopt {kind.lower()}/{shown} takes it over{changes}"


def _shorter(wanted: Facts, found: Facts, now: float) -> str | None:
    """Return a refusal if a shorter retention would delete points."""
    if wanted.keeps is None or not wanted.keeps or (found.keeps and wanted.keeps >= found.keeps):
        return None
    date = datetime.fromtimestamp(now - wanted.keeps, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"Bucket '{printable(found.name)}' keeps {_span(found.keeps)} now, would keep {_span(wanted.keeps)}:"
        f" points older than {date} would be deleted. Raise `keep` of its window in gateway.yaml, or --force"
    )


def _span(seconds: int | None) -> str:
    """Return a retention as text, in days if it is whole days, so that two of them compare at a glance."""
    if not seconds:
        return "everything"
    days, rest = divmod(seconds, _DAY)
    return format_duration(seconds * 1000) if rest else f"{days}d"


def _adopted(survey: Survey, names: tuple[str, ...]) -> set[Key]:
    """Return the resources that the names mean: NAME, or KIND/NAME where several kinds have it."""
    return {key for name in names for key in _meant(survey, name)}


def _meant(survey: Survey, name: str) -> list[Key]:
    kind, _, rest = name.partition("/")
    meant = [key for key, facts in survey.wanted.items() if facts.name == name]
    if not meant and rest:
        meant = [
            key
            for key, facts in survey.wanted.items()
            if key[0].lower() == kind.lower() and facts.name == rest
        ]
    if not meant:
        raise BadInput(f"--adopt {printable(name)}: the templates have no resource of that name")
    foreign = [key for key in meant if key in survey.present and not survey.present[key].ours]
    if len(foreign) > 1:
        choices = " or ".join(f"--adopt {key[0].lower()}/{printable(name)}" for key in sorted(foreign))
        raise BadInput(f"--adopt {printable(name)}: several resources have that name; write {choices}")
    return meant
