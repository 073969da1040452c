"""Decide what to do after a write, from InfluxDB's answer alone.

| answer | meaning | decision |
|---|---|---|
| 204 | stored | go on |
| 400 | a malformed line; 2.x stored nothing, 1.x the good lines | halve; quarantine the bad line |
| 413 | too large | halve; a single line is quarantined |
| 422 | type conflict or outside retention; the rest is stored | halve; quarantine a piece refused whole |
| 403, 404 | this bucket cannot be written to | hold the bucket, report it; go on with others |
| 401, other 4xx, 3xx, other 2xx | configuration | keep, report it, back off |
| 408, 425, 429, 5xx, no answer | temporary, or unknown | keep, back off, honour Retry-After |

This applies to answers in InfluxDB's JSON. An answer of a proxy, a firewall or another service is `foreign`: it never
holds a bucket, and never quarantines a line without a probe of the server. A failure that may be the request's fault is
`suspect`; poison.py finds out.

A point overwrites itself, so what is sent twice counts once.
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
_TIMED_OUT: Final = 408
_SERVER_ERRORS: Final = 500
_DROPPED: Final = re.compile(r"\bdropped=(\d{1,9})\b")
_REASON_LENGTH: Final = 500
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_REDIRECTED: Final = range(300, 400)
_NOT_THE_REQUEST: Final = frozenset({401, 407, 425, 429})
"""Statuses that say nothing about the lines: they concern the client or its rate."""


class Step(Enum):
    """What to do after an answer."""

    ACCEPT = "accept"
    HALVE = "halve"
    REFUSE = "refuse"
    PROBE = "probe"
    HOLD = "hold"
    KEEP = "keep"
    BACK_OFF = "back_off"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a write.

    Attributes:
        status: the HTTP status, None if there was no answer.
        message: the text of the answer or error.
        retry_after: the Retry-After header: seconds, or a date.
        foreign: the text is not InfluxDB's.
        sent: whether anything of the request left; False where there was no connection.
        date: the Date header, by which a date in Retry-After is read.
    """

    status: int | None
    message: str = ""
    retry_after: str | None = None
    foreign: bool = False
    sent: bool = True
    date: str | None = None

    @property
    def unknown(self) -> bool:
        """Whether the write may still be on its way, to be stored later than the ones that follow."""
        failed = self.status is None or self.status == _TIMED_OUT or self.status >= _SERVER_ERRORS
        return self.sent and failed

    @property
    def stored(self) -> bool:
        """Whether everything in the write is stored."""
        return self.status == _STORED

    @property
    def too_large(self) -> bool:
        """Whether the request was refused for its size."""
        return self.status == _TOO_LARGE


@dataclass(frozen=True, slots=True)
class Decision:
    """A step; `wait` (s) if the server asked for one; `suspect` if the request itself may be at fault."""

    step: Step
    reason: str = ""
    wait: float | None = None
    suspect: bool = False


def decide(outcome: Outcome, lines: int, now: float) -> Decision:
    """Decide what to do after the answer to a write of `lines` lines.

    `now` is wall time in s; an answer that says the server's time is judged by that.
    """
    status = outcome.status
    if status == _STORED:
        return Decision(Step.ACCEPT)
    if status in {_BAD_LINE, _TOO_LARGE}:
        return _refused(outcome) if lines == 1 else Decision(Step.HALVE, _shown(outcome))
    if status == _PARTIAL:
        whole = lines == 1 or (not outcome.foreign and _dropped(outcome) >= lines)
        return _refused(outcome) if whole else Decision(Step.HALVE, _shown(outcome))
    if status is None or status in _TEMPORARY or status >= _SERVER_ERRORS:
        wait = retry_after(outcome.retry_after, _time_of(outcome.date) or now)
        return Decision(Step.BACK_OFF, _shown(outcome), wait=wait, suspect=status not in _NOT_THE_REQUEST)
    if status in {_FORBIDDEN, _NOT_FOUND} and not outcome.foreign:
        return Decision(Step.HOLD, _unwritable(outcome))
    suspect = outcome.foreign and status not in _NOT_THE_REQUEST
    return Decision(Step.KEEP, _misplaced(outcome), suspect=suspect)


def _refused(outcome: Outcome) -> Decision:
    if outcome.foreign:
        return Decision(Step.PROBE, f"not an answer from InfluxDB: {_shown(outcome)}", suspect=True)
    return Decision(Step.REFUSE, _shown(outcome))


def _unwritable(outcome: Outcome) -> str:
    if outcome.status == _FORBIDDEN and "inactive" in outcome.message:
        return f"the token is not active ({_shown(outcome)}); activate it, or set another in influx.token"
    if outcome.status == _FORBIDDEN:
        return (
            f"the token may not write to this bucket ({_shown(outcome)});"
            " give it write access, and check that it belongs to this organisation"
        )
    if outcome.message.startswith("organization"):
        return f"the organisation does not exist ({_shown(outcome)}); check influx.org"
    return f"the bucket does not exist ({_shown(outcome)}); create it with `edge-gateway influx apply`"


def _misplaced(outcome: Outcome) -> str:
    if outcome.status == _UNAUTHORIZED:
        return f"InfluxDB rejects the token ({_shown(outcome)}); check influx.token"
    if outcome.status in _REDIRECTED:
        return f"the address redirects ({_shown(outcome)}); set influx.url to that of InfluxDB itself"
    return f"not an answer from InfluxDB's write API ({_shown(outcome)}); check influx.url, and any proxy before it"


def _dropped(outcome: Outcome) -> int:
    """Return how many points the message says were dropped: a lower bound, since it covers only one shard.

    The last number in it counts: the message may quote a device's text before its own figure.
    """
    named = _DROPPED.findall(outcome.message)
    return int(named[-1]) if named else 1


def _shown(outcome: Outcome) -> str:
    if outcome.status is None:
        return printable(outcome.message, _REASON_LENGTH) or "no answer"
    message = printable(outcome.message, _REASON_LENGTH)
    return f"{outcome.status}: {message}" if message else str(outcome.status)


def retry_after(header: str | None, now: float) -> float | None:
    """Parse a Retry-After header (RFC 9110 §10.2.3): seconds to wait, at most 600; None if absent or malformed."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_RETRY_AFTER)
    at = _time_of(text)
    return None if at is None else min(max(0.0, at - now), LONGEST_RETRY_AFTER)


def _time_of(header: str | None) -> float | None:
    """Return the wall time (s) of an HTTP date; None if absent or malformed."""
    try:
        date = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def wall_seconds() -> float:
    """Return wall time in seconds, for `decide`."""
    return datetime.now(UTC).timestamp()
