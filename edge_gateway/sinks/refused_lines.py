"""Report recently refused lines and what to do: nobody would look for them in the quarantine."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from edge_gateway.status.problems import MOST_NAMED
from fleet_wire.printable import printable

LASTS: Final = 3_600.0
"""Seconds for which a refusal is reported after the last of its kind."""
MOST_KINDS: Final = 50
"""Pairs of bucket and measurement kept; a gateway writes five measurements to each of four buckets."""
_MOST_REASON: Final = 300
_SHOWN: Final = "the lines are in the quarantine, `edge-gateway query quarantine` shows them"

Kind = tuple[str, str]
"""Bucket and measurement."""


@dataclass(slots=True)
class _Refusal:
    reason: str
    last: float


@dataclass(slots=True)
class RefusedLines:
    """Refused lines by bucket and measurement. Times are monotonic seconds.

    The first reason of a kind is kept: reasons may contain figures of the line, and a text that changes with every
    line would be logged with every line.
    """

    _kinds: dict[Kind, _Refusal] = field(default_factory=dict)

    def note(self, bucket: str, lines: Iterable[bytes], reason: str, now: float) -> None:
        """Note lines that were refused."""
        for kind in {(bucket, _measurement(line)) for line in lines}:
            known = self._kinds.get(kind)
            if known is not None:
                known.last = now
            elif len(self._kinds) < MOST_KINDS:
                self._kinds[kind] = _Refusal(reason, now)

    def text(self, now: float) -> str:
        """Return a sentence for each of the first kinds, one per line; empty if nothing was refused within `LASTS`."""
        self._kinds = {kind: one for kind, one in self._kinds.items() if now - one.last < LASTS}
        if not self._kinds:
            return ""
        sentences = [_sentence(kind, one.reason) for kind, one in self._kinds.items()]
        more = len(sentences) - MOST_NAMED
        return "\n".join([*sentences[:MOST_NAMED], *([f"and {more} more"] if more > 0 else []), _SHOWN])


def _sentence(kind: Kind, reason: str) -> str:
    bucket, measurement = (printable(text, 100) for text in kind)
    shown = printable(reason, _MOST_REASON)
    return f"lines of '{measurement}' for bucket '{bucket}' are refused ({shown}): {_advice(reason)}"


def _advice(reason: str) -> str:
    if "type conflict" in reason:
        return "another program wrote this field with a different type; give the gateway its own bucket"
    if "retention" in reason:
        return "the bucket's retention is shorter than gateway.yaml says; see `edge-gateway influx status`"
    return "check what they have in common"


def _measurement(line: bytes) -> str:
    """Return the name before the first comma or space; the gateway's measurements contain neither."""
    return line.partition(b" ")[0].partition(b",")[0].decode("utf-8", "replace")
