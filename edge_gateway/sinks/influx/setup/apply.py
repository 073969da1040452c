"""Look at a server, say what would change, and change it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge_gateway.errors import BadInput
from edge_gateway.sinks.influx.setup.documents import (
    WINDOWS,
    Document,
    KeptBucket,
    Key,
    WindowBucket,
    documents_for,
    key_of,
    resource_name,
)
from edge_gateway.sinks.influx.setup.facts import Facts, found_facts, wanted_facts
from edge_gateway.sinks.influx.setup.plan import Allowed, Plan, Survey, There, part_key, plan_of
from edge_gateway.sinks.influx.setup.second_stacks import (
    Second,
    changes,
    let_go,
    make_stack,
    second_stacks,
    told,
)
from edge_gateway.sinks.influx.setup.server import Server, Stack, Target, connected
from edge_gateway.sinks.influx.setup.shards import fitting, misfit


@dataclass(frozen=True, slots=True)
class _Looked:
    documents: list[Document]
    survey: Survey
    seconds: tuple[Second, ...]
    misfits: Mapping[str, int]
    """Ids of buckets that get other shards, and what they are to keep (s)."""


async def plan(target: Target, windows: Sequence[WindowBucket], allowed: Allowed | None = None) -> Plan:
    """Say what `apply` would change, checked by the server; nothing is changed.

    Raises CannotReach where the server does not answer, BadInput where it does not accept.
    """
    async with connected(target) as server:
        looked = await _look(server, windows)
        asked = allowed or Allowed()
        return _beside(plan_of(looked.survey, asked, time.time()), looked, asked)


async def apply(target: Target, windows: Sequence[WindowBucket], allowed: Allowed | None = None) -> Plan:
    """Bring the server in step; returns what was changed. Doing it again changes nothing.

    Raises CannotReach where the server does not answer, BadInput where it does not accept or where something of
    somebody's would be lost; then nothing is changed.
    """
    async with connected(target) as server:
        looked = await _look(server, windows)
        asked = allowed or Allowed()
        planned = plan_of(looked.survey, asked, time.time())
        if planned.refusals:
            raise BadInput("\n".join(["nothing was changed:", *planned.refusals]))
        stack = planned.stack or await make_stack(server)
        if not planned.in_step:
            for documents in _steps(looked):
                await server.apply(stack, documents)
            for bucket, keeps in looked.misfits.items():
                await server.keep(bucket, keeps, fitting(keeps))
        await _note(server, looked.survey.applied)
        for second in looked.seconds if asked.force else ():
            await let_go(server, second)
        return _beside(Plan(stack, planned.changes), looked, asked)


def _beside(planned: Plan, looked: _Looked, allowed: Allowed) -> Plan:
    """The plan with what is to be said of other stacks, or done with them by force."""
    if not allowed.force:
        return replace(planned, warnings=tuple(told(one) for one in looked.seconds))
    more = [change for one in looked.seconds for change in changes(one)]
    return replace(planned, changes=(*planned.changes, *more))


def _steps(looked: _Looked) -> list[list[Document]]:
    """What to post, one after the other.

    The page lists variables by age, and those of one template are made at the same time: new ones are added one by one.
    """
    new = [
        one
        for one in looked.documents
        if one["kind"] == "Variable" and key_of(one) not in looked.survey.there
    ]
    first = [one for one in looked.documents if one not in new]
    return [[*first, *new[:count]] for count in range(min(1, len(new)), len(new) + 1)]


async def _look(server: Server, windows: Sequence[WindowBucket]) -> _Looked:
    stacks = await server.stacks()
    stack = stacks[0] if stacks else Stack()
    raw = await _resources(server, stack)
    documents = documents_for(windows, _kept(raw, windows), _offered(raw))
    checked = await server.dry_run(documents)
    wanted = {
        key_of(one): wanted_facts(key_of(one)[0], checked.wanted[key_of(one)], one) for one in documents
    }
    there = {key: There(found_facts(key[0], one), ours=True) for key, one in raw.items()}
    numbers = {key: str(one["id"]) for key, one in raw.items() if "id" in one}
    for key, number in checked.named.items():
        if key not in there and (one := await server.resource(key[0], number)) is not None:
            there[key], numbers[key] = There(found_facts(key[0], one), ours=False), number
    survey = Survey(stack.id, wanted, there, stack.applied or {})
    return _Looked(documents, survey, second_stacks(stacks, wanted), _misfits(survey, numbers))


def _misfits(survey: Survey, numbers: Mapping[Key, str]) -> dict[str, int]:
    both = {
        key: (facts, survey.there[key].facts) for key, facts in survey.wanted.items() if key in survey.there
    }
    return {numbers[key]: wanted.keeps or 0 for key, (wanted, found) in both.items() if misfit(wanted, found)}


async def _resources(server: Server, stack: Stack) -> dict[Key, dict[str, Any]]:
    """What is there of the stack's resources; what a person deleted is not."""
    found = {key: await server.resource(key[0], number) for key, number in (stack.resources or {}).items()}
    return {key: one for key, one in found.items() if one is not None}


def _kept(raw: Mapping[Key, Mapping[str, Any]], windows: Sequence[WindowBucket]) -> list[KeptBucket]:
    """Buckets of the stack that the configuration does not name: their removal would take their points along."""
    named = {resource_name(window.bucket) for window in windows}
    found = {name: found_facts(kind, one) for (kind, name), one in raw.items() if kind == "Bucket"}
    return [
        KeptBucket(name, facts.name, str(facts.parts[""]["description"]), facts.keeps or 0)
        for name, facts in found.items()
        if name not in named
    ]


def _offered(raw: Mapping[Key, Mapping[str, Any]]) -> dict[str, str]:
    """Buckets by window length, as the server's variable offers them."""
    values = raw.get(("Variable", WINDOWS), {}).get("arguments", {}).get("values")
    return {str(length): str(bucket) for length, bucket in values.items()} if isinstance(values, dict) else {}


async def _note(server: Server, before: Mapping[str, str]) -> None:
    """Write down what the stack's resources are now, where that is not what is written."""
    stack = await server.stack()
    facts: dict[Key, Facts] = {
        key: found_facts(key[0], one) for key, one in (await _resources(server, stack)).items()
    }
    now = {
        part_key(key, part): digest for key, one in facts.items() for part, digest in one.digests().items()
    }
    if now != before:
        await server.note(stack.id, now)
