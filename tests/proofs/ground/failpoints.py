"""Named points in the gateway at which a fault can be injected from outside.

    point ─▶ the attribute it names, wrapped ─▶ n-th call ─▶ action: kill, block, …

The product contains no code for this: a point names a function of `edge_gateway`, and when to act in its call.
`tests/harness/test_sabotaged_names.py` checks that every named method exists.
"""

from __future__ import annotations

import inspect
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from importlib import import_module
from typing import Any, Final, Literal

When = Literal["before", "after", "half", "during", "longer"]
Action = Callable[[], None]

JITTER: Final = 0.02


class NoSuchPoint(Exception):
    """A point, or what it names in the gateway, does not exist."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute: of a class, `edge_gateway.service.engine:Engine.submit`, or of a module, `…:write_checkpoint`."""

    module: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Attribute:
        module, colon, path = text.partition(":")
        if not (module and colon and path):
            raise NoSuchPoint(
                f"'{text}' names no attribute; write it like edge_gateway.service.engine:Engine.submit"
            )
        return cls(module, path)

    def resolve(self) -> tuple[Any, str, Any]:
        """Return the owner, the attribute's name and its present value; NoSuchPoint if there is none."""
        try:
            owner: Any = import_module(self.module)
        except ImportError as error:
            raise NoSuchPoint(f"{self.module}: {error}") from error
        *classes, name = self.path.split(".")
        for step in classes:
            owner = vars(owner).get(step)
            if owner is None:
                raise NoSuchPoint(f"{self.module} has no {self.path}")
        if name not in vars(owner):
            raise NoSuchPoint(f"{self.module} has no {self.path}")
        return owner, name, vars(owner)[name]

    def put(self, value: Any) -> None:
        """Replace the attribute."""
        owner, name, _ = self.resolve()
        setattr(owner, name, value)


@dataclass(frozen=True, slots=True)
class Point:
    """One side of a call.

    Attributes:
        attribute: the function.
        when: when to act in a call: before it, after it, `half`: between the halves of the first list or bytes it gets,
            `during`: some milliseconds after a coroutine began, `longer`: the call returns seconds to wait, and a block
            adds to them, so that a task hangs and not its loop.
        says: the state of the gateway at that moment.
        within: act only inside a call of this function.
    """

    attribute: Attribute
    when: When
    says: str
    within: Attribute | None = None


def _point(place: str, when: When, says: str, within: str | None = None) -> Point:
    return Point(Attribute.parse(place), when, says, None if within is None else Attribute.parse(within))


POINTS: Final[dict[str, Point]] = {
    "read": _point(
        "edge_gateway.mqtt.source:Source._take_in", "after", "deliveries were read, nothing was folded"
    ),
    "folding": _point(
        "edge_gateway.rules.alerts.evaluator:Evaluator.evaluate",
        "before",
        "windows have a batch, rules do not",
    ),
    "folded": _point(
        "edge_gateway.service.engine:Engine.submit", "before", "a record is folded, and not submitted"
    ),
    "encoded": _point(
        "edge_gateway.journal.segments:Journal.sync", "before", "a group is encoded, not written"
    ),
    "record": _point("edge_gateway.journal.segments:Journal._write", "half", "half of a group is written"),
    "written": _point(
        "edge_gateway.journal.files:Files.datasync",
        "before",
        "a group is written, and not synced",
        "edge_gateway.journal.segments:Journal._write",
    ),
    "segment": _point(
        "edge_gateway.journal.segments:Journal._start_segment", "after", "a segment is begun and empty"
    ),
    "committed": _point("edge_gateway.journal.segments:Journal.sync", "after", "on disk, the loop not told"),
    "before-ack": _point(
        "edge_gateway.service.engine:Engine._release_record", "before", "on disk, not acknowledged"
    ),
    "between-acks": _point("fleet_wire.session:Session.ack", "half", "half of the acknowledgements are sent"),
    "after-ack": _point(
        "edge_gateway.mqtt.source:Source.acknowledge", "after", "acknowledged, nothing published or stored"
    ),
    "store-half": _point("edge_gateway.store.database:Store.apply", "half", "half of what waits is stored"),
    "store-open": _point("edge_gateway.store.apply:Applier.apply_windows", "after", "a transaction is open"),
    "stored": _point("edge_gateway.store.database:Store.apply", "after", "a transaction is committed"),
    "late": _point("edge_gateway.store.late_job:LateJob._account", "before", "corrected rows, not committed"),
    "late-done": _point("edge_gateway.store.database:Store.run_late", "after", "a correction is committed"),
    "copied": _point(
        "edge_gateway.store.store_thread:StoreThread.sync",
        "before",
        "the state is copied for a checkpoint",
    ),
    "checkpoint": _point(
        "edge_gateway.journal.files:Files.write",
        "half",
        "half of a checkpoint is written",
        "edge_gateway.journal.checkpoint:write_whole",
    ),
    "checkpoint-name": _point(
        "edge_gateway.journal.files:Files.rename",
        "before",
        "a checkpoint is written under its temporary name",
        "edge_gateway.journal.checkpoint:write_whole",
    ),
    "checkpoint-old": _point(
        "edge_gateway.journal.checkpoint:write_whole",
        "after",
        "the oldest of three checkpoints is still there",
    ),
    "unlink": _point(
        "edge_gateway.journal.segments:Journal.unlink_before",
        "before",
        "a checkpoint, and all segments behind it",
    ),
    "unlinked": _point(
        "edge_gateway.journal.segments:Journal._unlink_oldest",
        "after",
        "a segment is unlinked, more may be due",
    ),
    "request": _point(
        "edge_gateway.sinks.influx.writer:InfluxWriter.write", "during", "a request is on its way"
    ),
    "answered": _point(
        "edge_gateway.sinks.influx.writer:InfluxWriter.write",
        "after",
        "a request is answered, the cursor stands",
    ),
    "cursor": _point("edge_gateway.store.outbox:Outbox.done", "after", "the cursor moves, not committed"),
    "journal-open": _point(
        "edge_gateway.journal.segments:Journal.open", "before", "the spool is locked, not read"
    ),
    "restored": _point("edge_gateway.recovery.replay:Replay.restore", "after", "a checkpoint is taken in"),
    "replaying": _point(
        "edge_gateway.recovery.replay:Replay.replay", "before", "a record is about to be replayed"
    ),
    "replayed": _point(
        "edge_gateway.recovery.replay:Replay.replay", "after", "replayed, its effects not applied"
    ),
    "reapplied": _point(
        "edge_gateway.recovery.replay:Replay.apply", "after", "effects of a replayed record are stored"
    ),
    "recovered": _point(
        "edge_gateway.recovery.startup:_take_over", "before", "all is replayed, nothing is written"
    ),
    "first-checkpoint": _point(
        "edge_gateway.recovery.startup:write_checkpoint", "after", "recovery has written its checkpoint"
    ),
    "reload": _point(
        "edge_gateway.service.gateway:Gateway._take_rules", "before", "rules are read, not in force"
    ),
    "reloading": _point(
        "edge_gateway.rules.alerts.evaluator:Evaluator.reload", "after", "in force, not on disk"
    ),
    "reloaded": _point(
        "edge_gateway.service.gateway:Gateway._take_rules", "after", "their record is submitted"
    ),
    "draining": _point("edge_gateway.service.gateway:Gateway._drain", "before", "asked to stop, not drained"),
    "closing": _point("edge_gateway.service.gateway:Gateway.close", "before", "drained, no checkpoint yet"),
    "tick": _point(
        "edge_gateway.fold.pipeline:Pipeline._tick", "before", "on the event loop, before rules tick"
    ),
    "tick-wait": _point(
        "edge_gateway.service.engine:Engine._until_tick", "longer", "the task that ticks the rules waits"
    ),
    "writer": _point(
        "edge_gateway.journal.commit_queue:CommitQueue._encode",
        "before",
        "in the writer thread, before a group",
    ),
    "store-thread": _point(
        "edge_gateway.store.store_thread:StoreThread._apply", "before", "in the store's thread"
    ),
}


@dataclass(slots=True)
class Armed:
    """An action that runs once, at the n-th call of a point."""

    name: str
    nth: int
    act: Action
    seconds: float = 0.0
    """Seconds that a `longer` point adds to its wait."""
    hits: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _inside: threading.local = field(default_factory=threading.local)

    def arm(self) -> None:
        """Wrap the function the point names; NoSuchPoint if there is none."""
        point = point_of(self.name)
        *_, held = point.attribute.resolve()
        if point.within is not None:
            *_, around = point.within.resolve()
            point.within.put(_rebound(around, self._marked(_plain(around))))
        point.attribute.put(_rebound(held, self._wrapped(point, _plain(held))))

    def due(self, point: Point) -> bool:
        """Count a call; return whether the action is due."""
        if point.within is not None and not getattr(self._inside, "depth", 0):
            return False
        with self._lock:
            self.hits += 1
            return self.hits == self.nth

    def _marked(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def marked(*arguments: Any, **named: Any) -> Any:
            with self._within():
                return call(*arguments, **named)

        return marked

    @contextmanager
    def _within(self) -> Iterator[None]:
        self._inside.depth = getattr(self._inside, "depth", 0) + 1
        try:
            yield
        finally:
            self._inside.depth -= 1

    def _wrapped(self, point: Point, call: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(call):
            return self._awaited(point, call)

        @wraps(call)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            if not self.due(point):
                return call(*arguments, **named)
            if point.when == "before":
                self.act()
            if point.when == "half":
                first, second = halved(arguments)
                call(*first, **named)
                self.act()
                return call(*second, **named)
            result = call(*arguments, **named)
            if point.when in {"after", "longer"}:
                self.act()
            return result + self.seconds if point.when == "longer" else result

        return wrapped

    def _awaited(self, point: Point, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        async def wrapped(*arguments: Any, **named: Any) -> Any:
            if not self.due(point):
                return await call(*arguments, **named)
            if point.when == "before":
                self.act()
            if point.when == "during":
                threading.Timer(random.uniform(0, JITTER), self.act).start()
            result = await call(*arguments, **named)
            if point.when == "after":
                self.act()
            return result

        return wrapped


def point_of(name: str) -> Point:
    """Return the point of that name."""
    if name not in POINTS:
        raise NoSuchPoint(f"no point '{name}'; known: {', '.join(POINTS)}")
    return POINTS[name]


def halved(arguments: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the arguments twice: with the first half of the first list or bytes, and with the second half."""
    for place, argument in enumerate(arguments):
        if isinstance(argument, bytes | list):
            middle = len(argument) // 2
            before, after = arguments[:place], arguments[place + 1 :]
            return (*before, argument[:middle], *after), (*before, argument[middle:], *after)
    return arguments, arguments


def _plain(held: Any) -> Callable[..., Any]:
    call: Callable[..., Any] = held.__func__ if isinstance(held, classmethod | staticmethod) else held
    return call


def _rebound(held: Any, call: Callable[..., Any]) -> Any:
    """Bind a new function the way the old one was bound."""
    return type(held)(call) if isinstance(held, classmethod | staticmethod) else call


def kill() -> None:
    """Send SIGKILL to this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def action_of(text: str, when: When) -> tuple[Action, float]:
    """Parse `kill` or `block:SECONDS`; return what to call, and the seconds."""
    if text == "kill":
        return kill, 0.0
    what, _, seconds = text.partition(":")
    if what != "block" or not seconds:
        raise NoSuchPoint(f"'{text}' is no action; known: kill, block:SECONDS")
    wait = float(seconds)
    return (lambda: time.sleep(0 if when == "longer" else wait)), wait
