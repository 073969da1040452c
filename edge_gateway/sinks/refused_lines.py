"""Which lines InfluxDB has lately refused, and what to do: they are in the quarantine, where nobody looks."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from edge_gateway.status.problems import MOST_NAMED
from fleet_wire.printable import printable

LASTS: Final = 3_600.0
"""Seconds for which a refusal is told after the last of its kind."""
MOST_KINDS: Final = 50
"""Buckets and measurements that are told apart; a gateway writes to four buckets, five measurements each."""
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

    The first reason of a kind stays: each line may have its own figures in it, and a text that changed with every line
    would be logged with every line.
    """

    _kinds: dict[Kind, _Refusal] = field(default_factory=dict)

    def note(self, bucket: str, lines: Iterable[bytes], reason: str, now: float) -> None:
        """Remember that lines were refused."""
        for kind in {(bucket, _measurement(line)) for line in lines}:
            known = self._kinds.get(kind)
            if known is not None:
                known.last = now
            elif len(self._kinds) < MOST_KINDS:
                self._kinds[kind] = _Refusal(reason, now)

    def told(self, now: float) -> str:
        """A sentence for each of the first kinds, one a line; empty where nothing was refused of late."""
        self._kinds = {kind: one for kind, one in self._kinds.items() if now - one.last < LASTS}
        if not self._kinds:
            return ""
        told = [_sentence(kind, one.reason) for kind, one in self._kinds.items()]
        more = len(told) - MOST_NAMED
        return "\n".join([*told[:MOST_NAMED], *([f"and {more} more"] if more > 0 else []), _SHOWN])


def _sentence(kind: Kind, reason: str) -> str:
    bucket, measurement = (printable(text, 100) for text in kind)
    said = printable(reason, _MOST_REASON)
    return f"lines of '{measurement}' for bucket '{bucket}' are refused ({said}): {_advice(reason)}"


def _advice(reason: str) -> str:
    if "type conflict" in reason:
        return "another program wrote this field with another type; give the gateway a bucket of its own"
    if "retention" in reason:
        return "the bucket keeps less than gateway.yaml says; see `edge-gateway influx status`"
    return "see what they have in common"


def _measurement(line: bytes) -> str:
    """A name before the first comma or space: those of the gateway have neither."""
    return line.partition(b" ")[0].partition(b",")[0].decode("utf-8", "replace")
