"""The parts of a proof: its description, what it gets (a setting), and what it found."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.influx import Influx, ServerMissing, running_influx

__all__ = ["Findings", "Proof", "Setting", "Unavailable"]

Entered = TypeVar("Entered")
MOST_EXAMPLES = 20
FORBIDDEN = ("lost", "double", "wrong", "alerts_lost", "alerts_repeated", "executed_twice", "tracebacks")


class Unavailable(Exception):
    """This machine lacks something the proof needs; the text says what, and how to get it."""


@dataclass(slots=True)
class Findings:
    """What was tried, and which promises were broken.

    `acknowledged`, `lost` and `double` count values of the base windows; `wrong` counts windows of any tier that
    differ in count, sum, min, max, first or last. `recoveries` are seconds from start to subscribed.
    """

    runs: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    windows: int = 0
    alerts: int = 0
    commands: int = 0
    lost: int = 0
    double: int = 0
    wrong: int = 0
    alerts_lost: int = 0
    alerts_repeated: int = 0
    executed_twice: int = 0
    tracebacks: int = 0
    forbidden: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether no promise was broken."""
        return not any(getattr(self, name) for name in FORBIDDEN) and not self.forbidden.total()

    def in_short(self) -> str:
        """Return the totals that a line of progress shows."""
        return f"{self.acknowledged:,} readings, lost {self.lost}, double {self.double}"

    def forbid(self, what: str, example: str, count: int = 1) -> None:
        """Count a broken promise that has no counter of its own."""
        self.forbidden[what] += count
        self.show(f"{what}: {example}")

    def show(self, example: str) -> None:
        """Keep an example of a finding, up to 20."""
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(example)


@dataclass(frozen=True, slots=True)
class Proof:
    """One kind of fault.

    Attributes:
        says: what is broken, in one line.
        unit: what a count of this proof counts.
        full: the full count.
        quick: the count of the sample that `./test` runs.
    """

    name: str
    says: str
    unit: str
    full: int
    quick: int
    run: Callable[[Setting], None]


class Servers:
    """The servers that proofs share: one InfluxDB, started at first use."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stack = ExitStack()
        self._influx: Influx | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def influx(self) -> Influx:
        if self._influx is None:
            place = self._directory / "influx"
            place.mkdir(parents=True, exist_ok=True)
            try:
                self._influx = self._stack.enter_context(running_influx(place))
            except ServerMissing as error:
                raise Unavailable(str(error)) from error
        self._influx.heal()
        return self._influx


class Setting:
    """What a proof gets: a directory, a count, seeded randomness, its findings, and servers that end with it.

    `quick`: large faults may be smaller.
    """

    def __init__(
        self,
        directory: Path,
        *,
        count: int,
        seed: int,
        servers: Servers,
        say: Callable[[str], None],
        quick: bool = False,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.count = count
        self.seed = seed
        self.quick = quick
        self.rng = random.Random(seed)
        self.findings = Findings()
        self.say = say
        self._servers = servers
        self._stack = ExitStack()
        self._made = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def rounds(self, most: int) -> Iterator[int]:
        """Split `count` into rounds of at most `most`; after each, count the run and report the totals."""
        left = self.count
        while left:
            size = min(most, left)
            left -= size
            yield size
            self.findings.runs += 1
            self.say(f"{self.findings.faults.total()} faults, {self.findings.in_short()}")

    def keep(self, context: AbstractContextManager[Entered]) -> Entered:
        """Enter a context that ends with the setting."""
        return self._stack.enter_context(context)

    def later(self, call: Callable[[], object]) -> None:
        """Register a call for the end of the proof."""
        self._stack.callback(call)

    def place(self, name: str) -> Path:
        """Return the path of a new directory, not created yet."""
        self._made += 1
        return self.directory / f"{name}-{self._made}"

    def broker(self, *lines: str) -> Broker:
        """Start a broker with the shipped limits; `lines` are added to its configuration."""
        broker = Broker(self.place("broker"), *lines)
        self.later(broker.kill)
        broker.start()
        return broker

    def gateway(self, broker: Broker | str, name: str, **sections: Any) -> Gateway:
        """Return a gateway with its own id, site (`name-site`) and directory, not started."""
        url = broker if isinstance(broker, str) else broker.url
        of_its_own = {"gateway": {"id": name, "sites": [f"{name}-site"]}}
        gateway = Gateway(self.place(name), url, **{**of_its_own, **sections})
        self.later(gateway.kill)
        return gateway

    def influx(self) -> Influx:
        """Return the shared InfluxDB, running; Unavailable if there is none."""
        return self._servers.influx()

    def forwarding(self, influx: Influx, url: str | None = None) -> dict[str, str]:
        """Return the `influx` section of a gateway that forwards to it, or to a proxy in front of it."""
        token = self.directory / "influx.token"
        token.write_text(influx.token)
        token.chmod(0o600)
        return {"url": url or influx.url, "org": influx.org, "token": f"file:{token}"}
