"""Warn before limits of the disk and the fold are reached, and name who uses most of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from edge_gateway.fold.command_queue import MOST_WAITING
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.problem import Gravity
from edge_gateway.status.problems import MOST_NAMED
from edge_gateway.store.budget import late_bytes, quarantine_bytes
from fleet_wire.printable import printable

if TYPE_CHECKING:
    from edge_gateway.configuration.model import GatewayConfig, InfluxSection
    from edge_gateway.fold.pipeline import Pipeline
    from edge_gateway.store.budget import SpoolBytes
    from edge_gateway.store.database import StoreFacts

_QUARANTINE_SPARE: Final = 50
_HISTORY_SPARE: Final = 20
_OUTBOX_SPARE: Final = 20
"""Eviction frees one in so many parts of a limit at once, so a limit with no more than that free counts as full."""

Users = Mapping[str, int]
"""How much of a limit is used, by name: by everybody, or by those who use most."""


class Bound(NamedTuple):
    """A limit of bytes or of a number.

    Attributes:
        used: how much of it is used.
        most: the limit.
        beyond: what happens above it.
        users: returns who uses it; called only when it is nearly full.
        spare: how much may be free when it is full.
        when_full: a failure if something new is lost then; a warning if something old is removed as intended.
    """

    problem: Problem
    name: str
    used: int
    most: int
    beyond: str
    users: Callable[[], Users] = dict
    spare: int = 0
    when_full: Gravity = Gravity.WARNING


class BoundProblem(NamedTuple):
    """The problem of a limit; the text is empty while there is none."""

    problem: Problem
    text: str
    gravity: Gravity = Gravity.WARNING


def is_near(used: int, most: int) -> bool:
    """Return whether four fifths of a limit are used: time to warn."""
    return 5 * used >= 4 * most


def bound_problems(
    config: GatewayConfig, pipeline: Pipeline, facts: StoreFacts, used: SpoolBytes, in_quarantine: Users
) -> Iterator[BoundProblem]:
    """Yield the problem of every limit.

    `in_quarantine` is bytes by device, needed only while the quarantine is nearly full.
    """
    yield _problem(_quarantine(config, facts.quarantine_bytes, in_quarantine))
    for bound in (*_of_disk(config, facts, used), *_of_fold(pipeline)):
        yield _problem(bound)


def _problem(bound: Bound) -> BoundProblem:
    """Return a limit's problem. Its text has no figures that vary: each change of a text is a line in the log."""
    if not is_near(bound.used, bound.most):
        return BoundProblem(bound.problem, "")
    users = [printable(name, 64) for name, held in Counter(bound.users()).most_common(MOST_NAMED) if held]
    most = f"; most are of {', '.join(users)}" if users else ""
    if bound.used >= bound.most - bound.spare:
        return BoundProblem(bound.problem, f"{bound.name} is full: {bound.beyond}{most}", bound.when_full)
    text = f"more than four fifths of {bound.name} are used; beyond it {bound.beyond}{most}"
    return BoundProblem(bound.problem, text)


def _quarantine(config: GatewayConfig, used: int, users: Users) -> Bound:
    """Return the quarantine. One device that fills it is a warning; many of them are a failure."""
    limit = config.limits.quarantine
    most = quarantine_bytes(limit, config.spool.max_bytes)
    by_many = 2 * max(users.values(), default=used) < used
    return Bound(
        Problem.BOUND_QUARANTINE,
        "limits.quarantine" if most == limit else "the share of spool.max_bytes for the quarantine",
        used,
        most,
        "the oldest message of whoever has most is dropped",
        lambda: users,
        spare=most // _QUARANTINE_SPARE,
        when_full=Gravity.FAILURE if by_many else Gravity.WARNING,
    )


def _of_disk(config: GatewayConfig, facts: StoreFacts, used: SpoolBytes) -> Iterator[Bound]:
    spool, history = config.spool.max_bytes, config.history.max_bytes
    late = "the share of spool.max_bytes for late readings"
    yield Bound(Problem.BOUND_LATE, late, used.late, late_bytes(spool), "deliveries wait")
    yield Bound(Problem.BOUND_SPOOL, "spool.max_bytes", used.total, spool, "spool.on_full says what happens")
    yield Bound(
        Problem.BOUND_HISTORY,
        "history.max_bytes",
        facts.history_bytes,
        history,
        "the oldest windows are dropped",
        spare=history // _HISTORY_SPARE,
    )
    if config.influx is not None:
        yield _outbox(config.influx, max((waiting.bytes for waiting in facts.waiting.values()), default=0))


def _outbox(section: InfluxSection, used: int) -> Bound:
    """Return the outbox. Old lines go from a full one as the configuration asks, a chunk at a time."""
    by_age = section.on_full == "drop_oldest"
    beyond = "what waits longest is dropped" if by_age else "the finest windows that wait are dropped"
    most = section.max_bytes
    return Bound(Problem.BOUND_OUTBOX, "influx.max_bytes", used, most, beyond, spare=most // _OUTBOX_SPARE)


def _of_fold(pipeline: Pipeline) -> Iterator[Bound]:
    """Yield the limits that devices can fill together."""
    registry, commands = pipeline.registry, pipeline.commands
    limits, table, texts = registry.limits, registry.table, registry.strings
    names = registry.device_name
    yield Bound(
        Problem.BOUND_DEVICES,
        f"limits.devices ({limits.devices:,})",
        registry.alive,
        limits.devices,
        "messages of further devices go to quarantine",
        lambda: _sites(pipeline),
        when_full=Gravity.FAILURE,
    )
    yield Bound(
        Problem.BOUND_SERIES,
        f"limits.series ({limits.series:,})",
        table.counted,
        limits.series,
        "values of further metrics are lost, as too_many_series",
        lambda: dict(zip(names, table.held_by_device.tolist(), strict=False)),
        when_full=Gravity.FAILURE,
    )
    yield Bound(
        Problem.BOUND_STRINGS,
        f"limits.strings ({limits.strings:,})",
        texts.of_devices,
        limits.strings,
        "values that are new texts are lost, as too_many_texts",
        lambda: {names[device]: held for device, held in texts.held.items()},
        when_full=Gravity.FAILURE,
    )
    yield Bound(
        Problem.BOUND_COMMANDS,
        f"the commands that may wait ({MOST_WAITING:,})",
        commands.awaiting,
        MOST_WAITING,
        "further commands fail at once",
        commands.waiting,
        when_full=Gravity.FAILURE,
    )


def _sites(pipeline: Pipeline) -> Users:
    """Return how many devices that are not retired each site has."""
    registry = pipeline.registry
    live = filter(registry.is_live, range(registry.devices))
    return Counter(f"site {registry.device_site[device]}" for device in live)
