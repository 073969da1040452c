"""What an answer to a write means, decided from the answer alone.

| answer | meaning | what follows |
|---|---|---|
| 204 | stored | go on |
| 400 | a malformed line; 2.x stored nothing, 1.x the good lines | halve; quarantine the bad line |
| 413 | too large | halve; a single line is quarantined |
| 422 | type conflict or outside retention; the rest is stored | halve; quarantine lines all of which are refused |
| 403, 404 | this bucket cannot be written to | hold the bucket, say so; other buckets go on |
| 401, other 4xx, 3xx, odd 2xx | configuration | keep, say so, back off |
| 408, 425, 429, 5xx, no answer | temporary, or unknown | keep, back off, honour Retry-After |

That holds for InfluxDB's own words, which are JSON. A proxy, a firewall or another service in its place has words of
its own: of those nothing is believed that would put a line aside (`prove`) or hold a bucket. A failure that may be the
request's own fault rather than the server's is `suspect`; trial.py says how that is found out.

Points overwrite themselves, so what is sent twice counts once.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final

from fleet_wire.printable import printable

LONGEST_RETRY_AFTER: Final = 600.0

_STORED: Final = 204
_BAD_LINE: Final = 400
_TOO_LARGE: Final = 413
_PARTIAL: Final = 422
_TEMPORARY: Final = frozenset({408, 425, 429})
_SERVER_ERRORS: Final = 500
_DROPPED: Final = re.compile(r"\bdropped=(\d{1,9})\b")
_REASON_LENGTH: Final = 500
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_REDIRECTED: Final = range(300, 400)
_NOT_THE_REQUEST: Final = frozenset({401, 407, 425, 429})
"""Answers that say nothing about what was sent: who asks, or how often."""


class Step(Enum):
    """What follows an answer."""

    ACCEPT = "accept"
    HALVE = "halve"
    REFUSE = "refuse"
    PROVE = "prove"
    HOLD = "hold"
    KEEP = "keep"
    BACK_OFF = "back_off"


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer: status None where there was none; `retry_after` as the header says it, seconds or a date.

    `foreign` are words that are not InfluxDB's.
    """

    status: int | None
    message: str = ""
    retry_after: str | None = None
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """`wait` is in seconds, where the server named it; `suspect`: the request itself may be what fails."""

    step: Step
    reason: str = ""
    wait: float | None = None
    suspect: bool = False


def decide(outcome: Outcome, lines: int, now: float) -> Decision:
    """Say what follows the answer to a write of `lines` lines at wall time `now` (seconds)."""
    status = outcome.status
    if status == _STORED:
        return Decision(Step.ACCEPT)
    if status in {_BAD_LINE, _TOO_LARGE}:
        return _refused(outcome) if lines == 1 else Decision(Step.HALVE, _said(outcome))
    if status == _PARTIAL:
        whole = lines == 1 or (not outcome.foreign and _dropped(outcome) >= lines)
        return _refused(outcome) if whole else Decision(Step.HALVE, _said(outcome))
    if status is None or status in _TEMPORARY or status >= _SERVER_ERRORS:
        wait = retry_after(outcome.retry_after, now)
        return Decision(Step.BACK_OFF, _said(outcome), wait=wait, suspect=status not in _NOT_THE_REQUEST)
    if status in {_FORBIDDEN, _NOT_FOUND} and not outcome.foreign:
        return Decision(Step.HOLD, _unwritable(outcome))
    suspect = outcome.foreign and status not in _NOT_THE_REQUEST
    return Decision(Step.KEEP, _misplaced(outcome), suspect=suspect)


def _refused(outcome: Outcome) -> Decision:
    if outcome.foreign:
        return Decision(Step.PROVE, f"not an answer of InfluxDB: {_said(outcome)}", suspect=True)
    return Decision(Step.REFUSE, _said(outcome))


def _unwritable(outcome: Outcome) -> str:
    if outcome.status == _FORBIDDEN and "inactive" in outcome.message:
        return f"the token is not active ({_said(outcome)}); activate it, or give influx.token another"
    if outcome.status == _FORBIDDEN:
        return (
            f"the token may not write to this bucket ({_said(outcome)});"
            " give it write access, and see that it is one of this organisation"
        )
    if outcome.message.startswith("organization"):
        return f"the organisation is not there ({_said(outcome)}); check influx.org"
    return f"the bucket is not there ({_said(outcome)}); `edge-gateway influx apply` makes the buckets"


def _misplaced(outcome: Outcome) -> str:
    if outcome.status == _UNAUTHORIZED:
        return f"the token is not accepted ({_said(outcome)}); check influx.token"
    if outcome.status in _REDIRECTED:
        return (
            f"the address leads elsewhere ({_said(outcome)}); set influx.url to where InfluxDB itself answers"
        )
    return f"not an answer of InfluxDB's write interface ({_said(outcome)}); check influx.url and what stands before it"


def _dropped(outcome: Outcome) -> int:
    """Points the server says it refused, which may be fewer than it did: it tells of one shard.

    The last number counts: a message may quote a device's name, and its own figure stands behind that.
    """
    named = _DROPPED.findall(outcome.message)
    return int(named[-1]) if named else 1


def _said(outcome: Outcome) -> str:
    if outcome.status is None:
        return printable(outcome.message, _REASON_LENGTH) or "no answer"
    told = printable(outcome.message, _REASON_LENGTH)
    return f"{outcome.status}: {told}" if told else str(outcome.status)


def retry_after(header: str | None, now: float) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110 §10.2.3), at most 600; None without one."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    return min(max(0.0, at - now), LONGEST_RETRY_AFTER)


def wall_seconds() -> float:
    """The wall clock as `decide` wants it."""
    return datetime.now(UTC).timestamp()
