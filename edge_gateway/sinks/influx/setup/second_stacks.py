"""Second stacks of the gateway's name, which two concurrent first applies create.

Buckets, variables and checks go by name, so both stacks own the same ones; each creates its own dashboard. Deleting a
second stack would delete what it shares, including buckets with all their points. Instead, what it alone owns is
removed and it is renamed.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from edge_gateway.errors import BadInput
from edge_gateway.sinks.influx.setup.documents import STACK, Key
from edge_gateway.sinks.influx.setup.plan import Change
from edge_gateway.sinks.influx.setup.server import Server, Stack
from fleet_wire.printable import printable

ANOTHER_APPLY: Final = "another apply is running on this organisation; run this one again after it"


@dataclass(frozen=True, slots=True)
class Second:
    """A stack that is not the oldest of its name; `own`: ids of templated resources only it has, buckets excluded."""

    stack: Stack
    own: tuple[tuple[Key, str], ...]


def second_stacks(stacks: Sequence[Stack], wanted: Collection[Key]) -> tuple[Second, ...]:
    """Return all stacks but the first, the oldest, which is the gateway's."""
    if not stacks:
        return ()
    ours = set((stacks[0].resources or {}).values())
    return tuple(Second(stack, tuple(_own(stack, ours, wanted))) for stack in stacks[1:])


def _own(stack: Stack, ours: set[str], wanted: Collection[Key]) -> Iterator[tuple[Key, str]]:
    for key, number in sorted((stack.resources or {}).items()):
        if key in wanted and key[0] != "Bucket" and number not in ours:
            yield key, number


def warning(second: Second) -> str:
    """Return a warning about the stack, with what to do."""
    own = ", ".join(f"{kind} {printable(number)}" for (kind, _), number in second.own)
    beside = f" with {own}" if own else ""
    return (
        f"a second stack '{STACK}' exists{beside}: {printable(second.stack.id)}, created"
        f" {printable(second.stack.made)} by a concurrent apply. `influx apply --force` removes what it alone owns and"
        " renames it; buckets and points stay. Do not delete the stack in another way: that would delete the buckets it"
        " shares"
    )


def changes(second: Second) -> Iterator[Change]:
    """Yield the changes that `retire` makes."""
    why = (f"of the second stack {second.stack.id}",)
    yield from (Change("remove", kind, number, why) for (kind, _), number in second.own)
    yield Change("update", "Stack", second.stack.id, ("renamed, because it is a second one",))


async def retire(server: Server, second: Second) -> None:
    """Remove what the stack alone owns, and rename it."""
    for (kind, _), number in second.own:
        await server.remove(kind, number)
    await server.rename_stack(second.stack.id, f"{STACK} second")


async def make_stack(server: Server) -> str:
    """Create the stack and return its id; BadInput if a concurrent apply created one first."""
    made = await server.make_stack()
    first = (await server.stacks())[0]
    if first.id == made:
        return made
    await server.remove_empty_stack(made)
    raise BadInput(ANOTHER_APPLY)
