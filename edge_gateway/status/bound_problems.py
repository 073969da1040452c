"""What comes near a bound of the disk or of the fold, and who uses most: a warning before anything has to give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from edge_gateway.fold.command_queue import MOST_WAITING
from edge_gateway.status.problems import MOST_NAMED, Gravity
from edge_gateway.store.budget import late_bytes
from fleet_wire.printable import printable

if TYPE_CHECKING:
    from edge_gateway.configuration.model import GatewayConfig
    from edge_gateway.fold.pipeline import Pipeline
    from edge_gateway.store.budget import SpoolBytes
    from edge_gateway.store.store import StoreFacts

_QUARANTINE_SPARE: Final = 50
_HISTORY_SPARE: Final = 20
"""What gives way leaves about so great a part of a bound free: with no more room than that it is full."""

Users = Mapping[str, int]
"""How much of a bound everybody uses, or those who use most."""


class Bound(NamedTuple):
    """Something there can be `most` of, in bytes or in number.

    Attributes:
        beyond: what happens above it.
        users: says who uses it; asked only when it is nearly full.
        spare: what may be free in a bound that is full.
        when_full: a failure where what is new is lost; a warning where something gives way that is meant to.
    """

    code: str
    name: str
    used: int
    most: int
    beyond: str
    users: Callable[[], Users] = dict
    spare: int = 0
    when_full: Gravity = Gravity.WARNING


class BoundProblem(NamedTuple):
    """A problem, over where the text is empty."""

    code: str
    text: str
    gravity: Gravity = Gravity.WARNING


def is_near(used: int, most: int) -> bool:
    """Whether four fifths of a bound are used: it is time to say so."""
    return 5 * used >= 4 * most


def problems(
    config: GatewayConfig, pipeline: Pipeline, facts: StoreFacts, used: SpoolBytes, in_quarantine: Users
) -> Iterator[BoundProblem]:
    """Yield every bound's problem; `in_quarantine` (bytes) need not be known while that is not nearly full."""
    yield _told(_quarantine(facts.quarantine_bytes, config.limits.quarantine, in_quarantine))
    for bound in (*_of_disk(config, facts, used), *_of_fold(pipeline)):
        yield _told(bound)


def _told(bound: Bound) -> BoundProblem:
    """No figure that goes up and down is told: each change of a problem's text is a line in the log."""
    if not is_near(bound.used, bound.most):
        return BoundProblem(bound.code, "")
    users = [printable(name, 64) for name, held in Counter(bound.users()).most_common(MOST_NAMED) if held]
    most = f"; most are of {', '.join(users)}" if users else ""
    if bound.used >= bound.most - bound.spare:
        return BoundProblem(bound.code, f"{bound.name} is full: {bound.beyond}{most}", bound.when_full)
    text = f"more than four fifths of {bound.name} are used; beyond it {bound.beyond}{most}"
    return BoundProblem(bound.code, text)


def _quarantine(used: int, most: int, users: Users) -> Bound:
    """One device that fills it is that device's trouble; many of them are the gateway's."""
    by_many = 2 * max(users.values(), default=used) < used
    return Bound(
        "bound_quarantine",
        "limits.quarantine",
        used,
        most,
        "the oldest goes of whoever has most",
        lambda: users,
        spare=most // _QUARANTINE_SPARE,
        when_full=Gravity.FAILURE if by_many else Gravity.WARNING,
    )


def _of_disk(config: GatewayConfig, facts: StoreFacts, used: SpoolBytes) -> Iterator[Bound]:
    spool, history = config.spool.max_bytes, config.history.max_bytes
    late = "what late readings may take of spool.max_bytes"
    yield Bound("bound_late", late, used.late, late_bytes(spool), "deliveries wait")
    yield Bound("bound_spool", "spool.max_bytes", used.total, spool, "spool.on_full says what happens")
    yield Bound(
        "bound_history",
        "history.max_bytes",
        facts.history_bytes,
        history,
        "the oldest goes",
        spare=history // _HISTORY_SPARE,
    )


def _of_fold(pipeline: Pipeline) -> Iterator[Bound]:
    """What devices can fill together."""
    registry, commands = pipeline.registry, pipeline.commands
    limits, table, texts = registry.limits, registry.table, registry.strings
    names = registry.device_name
    yield Bound(
        "bound_devices",
        f"limits.devices ({limits.devices:,})",
        registry.alive,
        limits.devices,
        "messages of further devices go to quarantine",
        lambda: _sites(pipeline),
        when_full=Gravity.FAILURE,
    )
    yield Bound(
        "bound_series",
        f"limits.series ({limits.series:,})",
        table.counted,
        limits.series,
        "values of further metrics are lost, as too_many_series",
        lambda: dict(zip(names, table.held_by_device.tolist(), strict=False)),
        when_full=Gravity.FAILURE,
    )
    yield Bound(
        "bound_strings",
        f"limits.strings ({limits.strings:,})",
        texts.of_devices,
        limits.strings,
        "values that are new texts are lost, as too_many_texts",
        lambda: {names[device]: held for device, held in texts.held.items()},
        when_full=Gravity.FAILURE,
    )
    yield Bound(
        "bound_commands",
        f"the commands that may wait ({MOST_WAITING:,})",
        len(commands),
        MOST_WAITING,
        "further commands fail at once",
        commands.waiting,
        when_full=Gravity.FAILURE,
    )


def _sites(pipeline: Pipeline) -> Users:
    """Devices that are not retired, by site."""
    registry = pipeline.registry
    live = filter(registry.is_live, range(registry.devices))
    return Counter(f"site {registry.device_site[device]}" for device in live)
