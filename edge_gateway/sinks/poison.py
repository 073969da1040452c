"""Find the line that makes a request fail, and tell its fault from the server's.

    request keeps failing ▶ wait ▶ write a probe, our own point, to the same bucket and time
                                    ├─ fails too ──▶ the server's fault: keep waiting, quarantine nothing
                                    └─ is stored ──▶ the request's fault: halve it, down to one line;
                                                     refuse a line that fails three times beside a stored probe

A server that is down, overloaded or out of disk space fails for the probe as well. One that fails for a single line,
such as a type conflict answered with 500 or a firewall that objects to a device's text, would otherwise block
everything behind that line.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from edge_gateway.store.outbox import point_of

TRIES: Final = 6
WAITED: Final = 20.0
"""Failures of a request, and seconds waited between them, before the server is probed."""
PROBES: Final = 3
"""Probes that must be stored while a line fails: an overloaded server stores some points and fails for others."""
MOST_SERIES: Final = 10_000
"""Series remembered as poisoned; lines of further ones take as long as the first."""
MEASUREMENT: Final = "sink_probe"


class Verdict(Enum):
    """What to do after a failure and its probe."""

    WAIT = "wait"
    AGAIN = "again"
    HALVE = "halve"
    REFUSE = "refuse"


@dataclass(slots=True)
class PoisonSearch:
    """The search for lines of one parcel that make requests fail.

    Attributes:
        tries: failures of the present request.
        waited: seconds waited between them.
        probes: probes stored while the present line failed.
        searching: the server has stored a probe and has not failed for one since, so failures are probed at once.
            Carried from parcel to parcel: otherwise a device with a bad line in each would delay all of them.
        found: a line of this parcel was refused, so the next ones need no pauses between their probes.
    """

    tries: int = 0
    waited: float = 0.0
    probes: int = 0
    searching: bool = False
    found: bool = False

    def is_probe_due(self) -> bool:
        """Count a failure; return whether to probe the server now."""
        self.tries += 1
        return self.searching or (self.tries >= TRIES and self.waited >= WAITED)

    def begin_request(self) -> None:
        """Reset what was counted: the request is settled, or its failures were the server's."""
        self.tries, self.waited, self.probes = 0, 0.0, 0

    def judge(self, lines: int, *, stores: bool, known: bool = False) -> Verdict:
        """Decide what to do with a failing request.

        Args:
            lines: how many it has.
            stores: the server stored the probe.
            known: the line's series is among the `PoisonedSeries`.
        """
        if not stores:
            self.begin_request()
            self.searching = False
            return Verdict.WAIT
        self.searching = True
        if lines > 1:
            self.begin_request()
            return Verdict.HALVE
        self.probes += 1
        if self.probes < PROBES:
            return Verdict.AGAIN if self.found or known else Verdict.WAIT
        self.begin_request()
        self.found = True
        return Verdict.REFUSE


@dataclass(slots=True)
class PoisonedSeries:
    """Series with a refused line, until one of their lines is stored or a probe fails.

    Their lines are sent apart from the others, which need not be halved again for each of them.
    """

    _series: set[bytes] = field(default_factory=set)

    def add(self, line: bytes) -> None:
        """Add the series of a refused line, if there is room."""
        if len(self._series) < MOST_SERIES:
            self._series.add(point_of(line)[0])

    def clear(self) -> None:
        """Forget all series."""
        self._series.clear()

    def discard(self, line: bytes) -> None:
        """Forget the series of a line that was stored."""
        self._series.discard(point_of(line)[0])

    def __contains__(self, line: bytes) -> bool:
        return bool(self._series) and point_of(line)[0] in self._series

    def separated(self, lines: list[bytes]) -> list[list[bytes]]:
        """Return the lines of other series, then those of poisoned ones; one list if there is only one kind."""
        parts: list[list[bytes]] = [[], []]
        for line in lines:
            parts[line in self].append(line)
        return [part for part in parts if part]


def probe(line: bytes, now: float) -> bytes:
    """Return a point of our own at the line's time, and so in its shard; at wall time `now` (s) if it has none."""
    at = line.rpartition(b" ")[2].strip()
    digits = at.removeprefix(b"-")
    return b"%b ok=true %b\n" % (MEASUREMENT.encode(), at if digits.isdigit() else b"%d" % int(now * 1e9))
