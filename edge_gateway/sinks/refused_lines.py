"""Report recently refused lines and what to do: nobody would look for them in the quarantine."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from edge_gateway.status.problems import MOST_NAMED
from fleet_wire.printable import printable

LASTS: Final = 3_600.0
"""Seconds for which a refusal is reported after the last of its kind."""
MOST_KINDS: Final = 50
"""Kinds kept; a gateway writes five measurements to each of four buckets."""
_MOST_REASON: Final = 300
_SHOWN: Final = "the lines are in the quarantine, `edge-gateway query quarantine` shows them"
_TOO_OLD: Final = (
    "the bucket's retention is shorter than gateway.yaml says, which `edge-gateway influx status` shows, or they waited"
    " here for longer than it keeps"
)
_TOO_OLD_UNSURE: Final = (
    "they came while this machine's clock was not sure, so the gateway could not tell which points are too old for the"
    " bucket. If its time is right and nothing synchronises it, run `edge-gateway clock confirm`"
)

Kind = tuple[str, str, str]
"""Bucket, measurement and cause."""
_CONFLICT: Final = "type conflict"
_RETENTION: Final = "retention"


@dataclass(slots=True)
class _Refusal:
    reason: str
    last: float
    unsure: bool


@dataclass(slots=True)
class RefusedLines:
    """Refused lines by bucket, measurement and cause. Times are monotonic seconds.

    The first reason of a kind is kept: reasons may contain figures of the line, and a text that changes with every
    line would be logged with every line.
    """

    _kinds: dict[Kind, _Refusal] = field(default_factory=dict)

    def note(
        self, bucket: str, lines: Iterable[bytes], reason: str, now: float, *, unsure: bool = False
    ) -> None:
        """Note lines that were refused; `unsure` as of their `Parcel`."""
        cause = _cause(reason)
        for kind in {(bucket, _measurement(line), cause) for line in lines}:
            known = self._kinds.get(kind)
            if known is not None:
                known.last, known.unsure = now, known.unsure and unsure
            elif len(self._kinds) < MOST_KINDS:
                self._kinds[kind] = _Refusal(reason, now, unsure)

    def text(self, now: float) -> str:
        """Return a sentence for each of the first kinds, one per line; empty if nothing was refused within `LASTS`."""
        self._kinds = {kind: one for kind, one in self._kinds.items() if now - one.last < LASTS}
        if not self._kinds:
            return ""
        sentences = [_sentence(kind, one) for kind, one in self._kinds.items()]
        more = len(sentences) - MOST_NAMED
        return "\n".join([*sentences[:MOST_NAMED], *([f"and {more} more"] if more > 0 else []), _SHOWN])


def _sentence(kind: Kind, one: _Refusal) -> str:
    bucket, measurement = (printable(text, 100) for text in kind[:2])
    shown = printable(one.reason, _MOST_REASON)
    return f"lines of '{measurement}' for bucket '{bucket}' are refused ({shown}): {_advice(kind[2], one)}"


def _cause(reason: str) -> str:
    """Return what causes that need other deeds are told apart by; "" for the others."""
    return next((cause for cause in (_CONFLICT, _RETENTION) if cause in reason), "")


def _advice(cause: str, one: _Refusal) -> str:
    if cause == _CONFLICT:
        return "another program wrote this field with a different type; give the gateway its own bucket"
    if cause == _RETENTION:
        return _TOO_OLD_UNSURE if one.unsure else _TOO_OLD
    return "check what they have in common"


def _measurement(line: bytes) -> str:
    """Return the name before the first comma or space; the gateway's measurements contain neither."""
    return line.partition(b" ")[0].partition(b",")[0].decode("utf-8", "replace")
