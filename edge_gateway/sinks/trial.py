"""Whether a write fails for what is in it, or for the server it goes to.

    fails ▶ waits, again and again ▶ a point of our own to the same bucket and time
                                      ├─ fails too ──▶ the server's trouble: wait on, nothing is put aside
                                      └─ is stored ──▶ the request's fault: halve it, down to a line
                                                       a line that fails three times beside a stored point ▶ refuse

A server that is down, overloaded or out of disk fails for the point as well. One that fails for a single line, as with
a type conflict answered by 500 or a firewall that dislikes a device's text, would otherwise hold up all that is behind.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from edge_gateway.store.outbox import point_of

TRIES: Final = 6
WAITED: Final = 20.0
"""Failures of the same request, and seconds waited between them, before the request is suspected."""
PROOFS: Final = 3
"""How often a line must fail while the server stores: one that is overloaded takes some and fails for others."""
MOST_CONVICTS: Final = 10_000
"""Series that are remembered; lines of others are judged as slowly as the first."""
MEASUREMENT: Final = "sink_probe"


class Verdict(Enum):
    """What follows a failure and the point written after it."""

    WAIT = "wait"
    AGAIN = "again"
    HALVE = "halve"
    REFUSE = "refuse"


@dataclass(slots=True)
class Trial:
    """What speaks against a request of one parcel; `waited` in seconds.

    While `searching` the server was seen to store, and not to fail for its own reasons since: what fails is judged at
    once. It is carried from parcel to parcel, or a device with a bad line in each would delay them all. Once a line of
    this parcel was `convicted` the next ones need no pauses between their proofs, and neither do lines of series of
    which one was in an earlier parcel (`Convicts`).
    """

    tries: int = 0
    waited: float = 0.0
    proofs: int = 0
    searching: bool = False
    convicted: bool = False

    def suspects(self) -> bool:
        """Count a failure; True when it is time to ask whether the server stores anything else."""
        self.tries += 1
        return self.searching or (self.tries >= TRIES and self.waited >= WAITED)

    def answered(self) -> None:
        """The request was answered for good; the next one starts with nothing against it."""
        self.tries, self.waited, self.proofs = 0, 0.0, 0

    def judge(self, lines: int, *, stores: bool, known: bool = False) -> Verdict:
        """Say what follows when a request of `lines` lines fails and the server `stores` a point of our own.

        `known`: a line of the same series was refused before, and none has been stored since.
        """
        if not stores:
            self.answered()
            self.searching = False
            return Verdict.WAIT
        self.searching = True
        if lines > 1:
            self.answered()
            return Verdict.HALVE
        self.proofs += 1
        if self.proofs < PROOFS:
            return Verdict.AGAIN if self.convicted or known else Verdict.WAIT
        self.answered()
        self.convicted = True
        return Verdict.REFUSE


@dataclass(slots=True)
class Convicts:
    """Series of which a line was refused after a trial, until one is stored or the server fails for its own reasons.

    They are sent apart from others, so that these need not be searched again for each line of theirs.
    """

    _series: set[bytes] = field(default_factory=set)

    def add(self, line: bytes) -> None:
        if len(self._series) < MOST_CONVICTS:
            self._series.add(point_of(line)[0])

    def clear(self) -> None:
        self._series.clear()

    def acquit(self, line: bytes) -> None:
        """A line was stored by itself."""
        self._series.discard(point_of(line)[0])

    def __contains__(self, line: bytes) -> bool:
        return bool(self._series) and point_of(line)[0] in self._series

    def apart(self, lines: list[bytes]) -> list[list[bytes]]:
        """The lines of other series and theirs; one list where there are no two kinds. Each series keeps its order."""
        parts: list[list[bytes]] = [[], []]
        for line in lines:
            parts[line in self].append(line)
        return [part for part in parts if part]


def probe(line: bytes, now: float) -> bytes:
    """A point of our own at the time of a line, and so in its shard; at wall time `now` (s) where it has none."""
    at = line.rpartition(b" ")[2].strip()
    digits = at.removeprefix(b"-")
    return b"%b ok=true %b\n" % (MEASUREMENT.encode(), at if digits.isdigit() else b"%d" % int(now * 1000))
