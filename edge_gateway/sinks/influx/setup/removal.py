"""Remove from a server what an apply created, and nothing that is somebody else's: `edge-gateway influx remove`.

Resources are removed one by one. Deleting the stack instead would delete all it lists, including buckets with their
points, what it adopted, and dashboards with cells that somebody added. So it goes last, once nothing is left of it.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from edge_gateway.sinks.influx.setup.documents import STACK, Key
from edge_gateway.sinks.influx.setup.facts import found_facts
from edge_gateway.sinks.influx.setup.plan import Change, Survey, by_hand, part_key
from edge_gateway.sinks.influx.setup.server import Server, Stack, Target, connected

_ADOPTED: Final = "adopted "
_ORDER: Final = ("Dashboard", "Check", "Variable", "Bucket", "Label")
"""What shows something goes before what it shows."""

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Removal:
    """What is removed, and what stays and why.

    Attributes:
        changes: `remove` or `keep`, one for each resource and stack, in the order of removal.
        removed: whether it was done.
    """

    changes: tuple[Change, ...]
    removed: bool = False

    @property
    def empty(self) -> bool:
        """There is nothing to remove."""
        return all(one.what == "keep" for one in self.changes)


@dataclass(frozen=True, slots=True)
class _Step:
    change: Change
    key: Key
    number: str


async def remove(target: Target, *, points: bool, confirmed: bool) -> Removal:
    """Remove what the gateway's stacks own, or only tell what that is until it is `confirmed`.

    With `points` the buckets go too, with all their points. Raises CannotReach when the server does not answer,
    BadInput when it rejects the request.
    """
    async with connected(target) as server:
        stacks = await server.stacks()
        steps = await _steps(server, stacks, points=points)
        gone = {step.number for step in steps if step.change.what == "remove"}
        ends = [_end(stack, steps, first=stack is stacks[0]) for stack in stacks]
        if confirmed:
            for step in steps:
                if step.number in gone:
                    await server.remove(step.key[0], step.number)
            for stack, end in zip(stacks, ends, strict=True):
                await _finish(server, stack, end)
        changes = (*(step.change for step in steps), *ends)
        return Removal(changes, confirmed)


async def _steps(server: Server, stacks: Sequence[Stack], *, points: bool) -> list[_Step]:
    """Return a step for each resource of the stacks, once if several list it."""
    applied = (stacks[0].applied or {}) if stacks else {}
    listed: dict[str, tuple[Key, Raw]] = {}
    for stack in stacks:
        for key, one in (await resources(server, stack)).items():
            listed.setdefault(_number(stack, key), (key, one))
    steps = [_step(key, number, one, applied, points=points) for number, (key, one) in listed.items()]
    gone = {step.number for step in steps if step.change.what == "remove"}
    boards = await server.dashboards() if steps else {}
    staying = [board for number, board in boards.items() if number not in gone]
    steps = [_kept_for(step, listed[step.number][1], staying) for step in steps]
    return sorted(steps, key=lambda step: (_rank(step.key[0]), step.change.name, step.number))


def _step(key: Key, number: str, raw: Raw, applied: Mapping[str, str], *, points: bool) -> _Step:
    facts = found_facts(key[0], raw)
    changed = "; ".join(by_hand(applied, key, {}, facts))
    if _ADOPTED + part_key(key, "") in applied:
        why = "it was there before it was adopted"
    elif changed:
        why = f"{changed} by hand"
    elif key[0] == "Bucket" and not points:
        why = "its points stay without --points"
    else:
        return _Step(Change("remove", key[0], facts.name), key, number)
    return _Step(Change("keep", key[0], facts.name, (why,)), key, number)


def _kept_for(step: _Step, raw: Raw, staying: Iterable[Raw]) -> _Step:
    """Keep a variable that a dashboard which stays uses, such as a clone."""
    if step.key[0] != "Variable" or step.change.what == "keep":
        return step
    used = re.compile(rf"\bv\.{re.escape(str(raw['name']))}\b")
    users = sorted(str(board["name"]) for board in staying if used.search(json.dumps(board)))
    if not users:
        return step
    return replace(
        step, change=Change("keep", "Variable", step.change.name, (f"dashboard '{users[0]}' uses it",))
    )


def _end(stack: Stack, steps: Iterable[_Step], *, first: bool) -> Change:
    """Return what becomes of a stack: it goes if nothing that it lists stays; a second one is renamed."""
    listed = set((stack.resources or {}).values())
    stay = any(step.number in listed and step.change.what == "keep" for step in steps)
    if not stay:
        return Change("remove", "Stack", stack.id)
    if first:
        return Change("keep", "Stack", stack.id, ("it lists what stays; an apply goes on with it",))
    return Change("update", "Stack", stack.id, ("renamed, because it is a second one",))


async def _finish(server: Server, stack: Stack, end: Change) -> None:
    if end.what == "remove":
        await server.remove_empty_stack(stack.id)
    elif end.what == "update":
        await server.rename_stack(stack.id, f"{STACK} second")


async def resources(server: Server, stack: Stack) -> dict[Key, dict[str, Any]]:
    """Return a stack's resources that still exist: somebody may have deleted some."""
    found = {key: await server.resource(key[0], number) for key, number in (stack.resources or {}).items()}
    return {key: one for key, one in found.items() if one is not None}


def adopted_by(survey: Survey) -> dict[str, str]:
    """Return what an apply notes of the resources that it adopts: those of others that the templates name, too."""
    theirs = [key for key, one in survey.present.items() if key in survey.wanted and not one.ours]
    return {_ADOPTED + part_key(key, ""): "" for key in theirs}


def adopted_before(applied: Mapping[str, str]) -> dict[str, str]:
    """Return what earlier applies noted of resources that they adopted."""
    return {name: text for name, text in applied.items() if name.startswith(_ADOPTED)}


def _number(stack: Stack, key: Key) -> str:
    return (stack.resources or {})[key]


def _rank(kind: str) -> int:
    return _ORDER.index(kind) if kind in _ORDER else -1
