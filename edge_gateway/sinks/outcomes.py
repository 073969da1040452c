"""What an answer to a write means, decided from the answer alone.

| answer | meaning | what follows |
|---|---|---|
| 204 | stored | go on |
| 400 | a malformed line; 2.x stored nothing, 1.x the good lines | halve; quarantine the bad line |
| 413 | too large | halve; a single line is quarantined |
| 422 | type conflict or outside retention; the rest is stored | halve; quarantine lines all of which are refused |
| 401, 403, 404, other 4xx, 3xx, odd 2xx | configuration | keep, say so, back off |
| 408, 425, 429, 5xx, no answer | temporary, or unknown | keep, back off, honour Retry-After |

Points overwrite themselves, so what is sent twice counts once.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final

LONGEST_RETRY_AFTER: Final = 600.0

_STORED: Final = 204
_BAD_LINE: Final = 400
_TOO_LARGE: Final = 413
_PARTIAL: Final = 422
_TEMPORARY: Final = frozenset({408, 425, 429})
_SERVER_ERRORS: Final = 500
_DROPPED: Final = re.compile(r"dropped=(\d+)")
_REASONS: Final = {
    401: "the token is not accepted (401); check influx.token",
    403: "the token may not write to this bucket (403); give it write access",
    404: "organisation or bucket not found (404); `edge-gateway influx apply` makes the buckets",
}


class Step(Enum):
    """What follows an answer."""

    ACCEPT = "accept"
    HALVE = "halve"
    REFUSE = "refuse"
    KEEP = "keep"
    BACK_OFF = "back_off"


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer: status None where there was none; `retry_after` as the header says it, seconds or a date."""

    status: int | None
    message: str = ""
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """`wait` is in seconds, where the server named it."""

    step: Step
    reason: str = ""
    wait: float | None = None


def decide(outcome: Outcome, lines: int, now: float) -> Decision:
    """Say what follows the answer to a write of `lines` lines at wall time `now` (seconds)."""
    status = outcome.status
    if status == _STORED:
        return Decision(Step.ACCEPT)
    if status in {_BAD_LINE, _TOO_LARGE}:
        return Decision(Step.HALVE if lines > 1 else Step.REFUSE, _said(outcome))
    if status == _PARTIAL:
        return Decision(Step.HALVE if _dropped(outcome) < lines else Step.REFUSE, _said(outcome))
    if status is None or status in _TEMPORARY or status >= _SERVER_ERRORS:
        return Decision(Step.BACK_OFF, _said(outcome), wait=retry_after(outcome.retry_after, now))
    return Decision(
        Step.KEEP, _REASONS.get(status, f"not an answer of InfluxDB's write interface: {_said(outcome)}")
    )


def _dropped(outcome: Outcome) -> int:
    """Points the server says it refused, which may be fewer than it did: it tells of one shard."""
    named = _DROPPED.search(outcome.message)
    return int(named[1]) if named else 1


def _said(outcome: Outcome) -> str:
    if outcome.status is None:
        return outcome.message or "no answer"
    return f"{outcome.status}: {outcome.message}" if outcome.message else str(outcome.status)


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
