"""Stacks of the gateway's name beside its own, as two first applies at once make them.

Buckets, variables and checks go by name, so that both stacks have the same ones; a dashboard each makes for itself.
Removing a second stack would remove what it shares, buckets with all their points: it is renamed instead, once what it
alone has is gone.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from edge_gateway.errors import BadInput
from edge_gateway.sinks.influx.setup.documents import STACK, Key
from edge_gateway.sinks.influx.setup.plan import Change
from edge_gateway.sinks.influx.setup.server import Server, Stack
from fleet_wire.printable import printable


@dataclass(frozen=True, slots=True)
class Second:
    """A stack that is not the oldest of its name; ids of what it alone has and the templates name, but no bucket."""

    stack: Stack
    own: tuple[tuple[Key, str], ...]


def second_stacks(stacks: Sequence[Stack], wanted: Collection[Key]) -> tuple[Second, ...]:
    """All but the first of stacks, the oldest of which is the gateway's."""
    if not stacks:
        return ()
    ours = set((stacks[0].resources or {}).values())
    return tuple(Second(stack, tuple(_own(stack, ours, wanted))) for stack in stacks[1:])


def _own(stack: Stack, ours: set[str], wanted: Collection[Key]) -> Iterator[tuple[Key, str]]:
    for key, number in sorted((stack.resources or {}).items()):
        if key in wanted and key[0] != "Bucket" and number not in ours:
            yield key, number


def told(second: Second) -> str:
    """What is wrong with it and what to do, as a sentence."""
    own = ", ".join(f"{kind} {printable(number)}" for (kind, _), number in second.own)
    beside = f" with {own}" if own else ""
    return (
        f"a second stack '{STACK}' is there{beside}: {printable(second.stack.id)}, made {printable(second.stack.made)},"
        " as two applies at once make it. `influx apply --force` removes what it alone has and renames it; buckets and"
        " points stay. Do not remove the stack in another way: the buckets it shares would go with it"
    )


def changes(second: Second) -> Iterator[Change]:
    """What `let_go` does."""
    why = (f"of the second stack {second.stack.id}",)
    yield from (Change("remove", kind, number, why) for (kind, _), number in second.own)
    yield Change("update", "Stack", second.stack.id, ("renamed: a second one",))


async def let_go(server: Server, second: Second) -> None:
    """Remove what it alone has, and give it another name."""
    for (kind, _), number in second.own:
        await server.remove(kind, number)
    await server.rename_stack(second.stack.id, f"{STACK} second")


async def make_stack(server: Server) -> str:
    """Make the stack; returns its id. BadInput where another apply made one at the same time, and earlier."""
    made = await server.make_stack()
    first = (await server.stacks())[0]
    if first.id == made:
        return made
    await server.remove_empty_stack(made)
    raise BadInput("another apply is at work on this organisation; run this one again when it has ended")
