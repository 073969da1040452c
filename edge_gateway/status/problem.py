"""What one entry in the catalogue of problems says: how grave it is, what raises it, and what ends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Gravity(StrEnum):
    """What a problem means for whoever watches the gateway."""

    FAILURE = "failure"
    """The gateway does not do all of its work: /healthz answers 503."""
    WARNING = "warning"
    """A device, a rule or a limit needs attention. The gateway works; /healthz answers 200 and lists it."""
    NOTICE = "notice"
    """Somebody else's trouble, such as another client's queue at the broker: shown, no alert, never in /healthz."""


@dataclass(frozen=True, slots=True)
class Clears:
    """The problem ends while the gateway runs: `how` is what has to happen.

    `of_process`: it is of parts or jobs that each start makes anew, so that the same one is another after a restart.
    """

    how: str
    of_process: bool = False


@dataclass(frozen=True, slots=True)
class Latches:
    """The problem stays until the next start: `how` says why nothing can end it before."""

    how: str


@dataclass(frozen=True, slots=True)
class Lasts:
    """The problem tells of something that happened, which nothing undoes: `how` says how long it is shown.

    It ends `ms` milliseconds after it was raised last, in which restarts and the time between them count.
    """

    how: str
    ms: int


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A problem as the program and docs/operate.md describe it. ValueError: it does not say how it ends.

    Attributes:
        gravities: those it may have, the usual one first.
        text: what an operator reads; `{}` stands for the detail given where it is raised.
        raised: what raises it, for the documentation.
        over: what clears it, why it latches, or how long it lasts.
        action: what an operator should do, for the documentation.
    """

    gravities: tuple[Gravity, ...]
    text: str
    raised: str
    over: Clears | Latches | Lasts
    action: str

    def __post_init__(self) -> None:
        if not (self.over.how and self.gravities and self.text and self.raised and self.action):
            raise ValueError("a problem says how grave it is, what raises it, what ends it and what to do")

    @property
    def outlives_a_restart(self) -> bool:
        """Whether it is the same trouble if it is open before a restart and again after it."""
        return isinstance(self.over, Clears) and not self.over.of_process

    @property
    def latches(self) -> bool:
        """Whether it stays until the next start."""
        return isinstance(self.over, Latches)
