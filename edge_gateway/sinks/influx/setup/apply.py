"""Survey a server, plan the changes, and make them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge_gateway.errors import BadInput
from edge_gateway.sinks.influx.setup.comparison import Deviation, compared
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
from edge_gateway.sinks.influx.setup.plan import Allowed, Plan, Present, Survey, part_key, plan_of
from edge_gateway.sinks.influx.setup.removal import adopted_before, adopted_by, resources
from edge_gateway.sinks.influx.setup.second_stacks import (
    ANOTHER_APPLY,
    Second,
    changes,
    make_stack,
    retire,
    second_stacks,
    warning,
)
from edge_gateway.sinks.influx.setup.server import Server, Stack, Target, connected
from edge_gateway.sinks.influx.setup.shards import fitting, misfit


@dataclass(frozen=True, slots=True)
class _Inspection:
    documents: list[Document]
    survey: Survey
    seconds: tuple[Second, ...]
    misfits: Mapping[str, int]
    """Retention (s) of buckets that get other shards, by id."""


async def plan(target: Target, windows: Sequence[WindowBucket], allowed: Allowed | None = None) -> Plan:
    """Return what `apply` would change, validated by the server; change nothing.

    Raises CannotReach when the server does not answer, BadInput when it rejects the request.
    """
    async with connected(target) as server:
        found = await _inspect(server, windows)
        asked = allowed or Allowed()
        return _beside(plan_of(found.survey, asked, time.time()), found, asked)


async def diff(target: Target, windows: Sequence[WindowBucket]) -> list[Deviation]:
    """Return what an apply would change, property by property, with both values; change nothing.

    Raises CannotReach when the server does not answer, BadInput when it rejects the request.
    """
    async with connected(target) as server:
        return list(compared((await _inspect(server, windows)).survey))


async def apply(target: Target, windows: Sequence[WindowBucket], allowed: Allowed | None = None) -> Plan:
    """Bring the server up to date and return what was changed. Idempotent.

    Raises CannotReach when the server does not answer, BadInput when it rejects the request or when the plan has
    refusals; then nothing is changed.
    """
    async with connected(target) as server:
        found = await _inspect(server, windows)
        asked = allowed or Allowed()
        planned = plan_of(found.survey, asked, time.time())
        if planned.refusals:
            if (
                not planned.stack and await server.stacks()
            ):  # made since we looked, with what seems to be another's
                raise BadInput(ANOTHER_APPLY)
            raise BadInput("\n".join(["nothing was changed:", *planned.refusals]))
        stack = planned.stack or await make_stack(server)
        if not planned.in_step:
            for documents in _steps(found):
                await server.apply(stack, documents)
            for bucket, keeps in found.misfits.items():
                await server.set_retention(bucket, keeps, fitting(keeps))
        await _note_applied(server, found.survey.applied, adopted_by(found.survey))
        for second in found.seconds if asked.force else ():
            await retire(server, second)
        return _beside(Plan(stack, planned.changes), found, asked)


def _beside(planned: Plan, found: _Inspection, allowed: Allowed) -> Plan:
    """Add second stacks to the plan: a warning for each, or with force the changes to it."""
    if not allowed.force:
        return replace(planned, warnings=tuple(warning(one) for one in found.seconds))
    more = [change for one in found.seconds for change in changes(one)]
    return replace(planned, changes=(*planned.changes, *more))


def _steps(found: _Inspection) -> list[list[Document]]:
    """Return the sets of documents to post, one after the other.

    InfluxDB's page lists variables by age, and those of one request have the same age: new ones are added one by one.
    New dashboards come last: the server reads every query of a request, which takes seconds.
    """
    present = found.survey.present
    new = [one for one in found.documents if one["kind"] == "Variable" and key_of(one) not in present]
    early = [
        one
        for one in found.documents
        if one not in new and (one["kind"] != "Dashboard" or key_of(one) in present)
    ]
    return [*([*early, *new[:count]] for count in range(1, len(new))), found.documents]


async def _inspect(server: Server, windows: Sequence[WindowBucket]) -> _Inspection:
    stacks = await server.stacks()
    stack = stacks[0] if stacks else Stack()
    raw = await resources(server, stack)
    documents = documents_for(windows, _kept(raw, windows), _offered(raw))
    checked = await server.dry_run(documents)
    wanted = {
        key_of(one): wanted_facts(key_of(one)[0], checked.wanted[key_of(one)], one) for one in documents
    }
    there = {key: Present(found_facts(key[0], one), ours=True) for key, one in raw.items()}
    numbers = {key: str(one["id"]) for key, one in raw.items() if "id" in one}
    for key, number in checked.named.items():
        if key not in there and (one := await server.resource(key[0], number)) is not None:
            there[key], numbers[key] = Present(found_facts(key[0], one), ours=False), number
    survey = Survey(stack.id, wanted, there, stack.applied or {})
    return _Inspection(documents, survey, second_stacks(stacks, wanted), _misfits(survey, numbers))


def _misfits(survey: Survey, numbers: Mapping[Key, str]) -> dict[str, int]:
    both = {
        key: (facts, survey.present[key].facts)
        for key, facts in survey.wanted.items()
        if key in survey.present
    }
    return {numbers[key]: wanted.keeps or 0 for key, (wanted, found) in both.items() if misfit(wanted, found)}


def _kept(raw: Mapping[Key, Mapping[str, Any]], windows: Sequence[WindowBucket]) -> list[KeptBucket]:
    """Return the stack's buckets that the configuration no longer names; removing one would delete its points."""
    named = {resource_name(window.bucket) for window in windows}
    found = {name: found_facts(kind, one) for (kind, name), one in raw.items() if kind == "Bucket"}
    return [
        KeptBucket(name, facts.name, str(facts.parts[""]["description"]), facts.keeps or 0)
        for name, facts in found.items()
        if name not in named
    ]


def _offered(raw: Mapping[Key, Mapping[str, Any]]) -> dict[str, str]:
    """Return the buckets by window length, from the server's variable."""
    values = raw.get(("Variable", WINDOWS), {}).get("arguments", {}).get("values")
    return {str(length): str(bucket) for length, bucket in values.items()} if isinstance(values, dict) else {}


async def _note_applied(server: Server, before: Mapping[str, str], adopted: Mapping[str, str]) -> None:
    """Store digests of the stack's resources in its description, and what was adopted, unless it has them already."""
    stack = await server.stack()
    facts: dict[Key, Facts] = {
        key: found_facts(key[0], one) for key, one in (await resources(server, stack)).items()
    }
    digests = {
        part_key(key, part): digest for key, one in facts.items() for part, digest in one.digests().items()
    }
    noted = {**digests, **adopted_before(before), **adopted}
    if noted != before:
        await server.note_applied(stack.id, noted)
