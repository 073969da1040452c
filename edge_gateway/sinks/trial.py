"""Whether a write fails for what is in it, or for the server it goes to.

    fails ▶ waits, again and again ▶ a point of our own to the same bucket and time
                                      ├─ fails too ──▶ the server's trouble: wait on, nothing is put aside
                                      └─ is stored ──▶ the request's fault: halve it, down to a line
                                                       a line that fails three times beside a stored point ▶ refuse

A server that is down, overloaded or out of disk fails for the point as well. One that fails for a single line, as with
a type conflict answered by 500 or a firewall that dislikes a device's text, would otherwise hold up all that is behind.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

TRIES: Final = 6
WAITED: Final = 20.0
"""Failures of the same request, and seconds waited between them, before the request is suspected."""
PROOFS: Final = 3
"""How often a line must fail while the server stores: one that is overloaded takes some and fails for others."""
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
    this parcel was `convicted` the next ones need no pauses between their proofs.
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

    def judge(self, lines: int, *, stores: bool) -> Verdict:
        """Say what follows when a request of `lines` lines fails and the server `stores` a point of our own."""
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
            return Verdict.AGAIN if self.convicted else Verdict.WAIT
        self.answered()
        self.convicted = True
        return Verdict.REFUSE


def probe(line: bytes, now: float) -> bytes:
    """A point of our own at the time of a line, and so in its shard; at wall time `now` (s) where it has none."""
    at = line.rpartition(b" ")[2].strip()
    digits = at.removeprefix(b"-")
    return b"%b ok=true %b\n" % (MEASUREMENT.encode(), at if digits.isdigit() else b"%d" % int(now * 1000))
