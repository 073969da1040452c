"""Requests about silences and acknowledgements, of the CLI to a running gateway: checked, carried out, and answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from edge_gateway.fold.operations import selection_text
from edge_gateway.records.alerts import alert_row
from edge_gateway.records.inputs import Acknowledge, AddSilence, EndSilence, Moment
from edge_gateway.rules.muting.silences import MOST_SILENCES
from edge_gateway.service.selected import matches_nothing
from fleet_config.durations import parse_duration
from fleet_config.match import Match
from fleet_config.problems import quoted, suggest
from fleet_wire.local_socket import asking_user
from fleet_wire.printable import printable

if TYPE_CHECKING:
    from edge_gateway.fold.pipeline import Pipeline
    from edge_gateway.records.alerts import Transition
    from edge_gateway.rules.muting.silences import Silence
    from edge_gateway.service.engine import Engine

LONGEST_SILENCE: Final = 366 * 86_400_000
"""Milliseconds: whatever is muted is heard of again."""
LONGEST_REASON: Final = 500
MOST_KEYS, MOST_GLOBS, LONGEST_GLOB = 16, 64, 128
LEAST_ID: Final = 4
"""Characters of an alert's id that may stand for it."""


@dataclass(frozen=True, slots=True)
class MutingRequests:
    """Adds, lists and ends silences, and acknowledges alerts; ValueError says what is wrong with a request.

    Whatever is changed is on disk when the answer is given.
    """

    pipeline: Pipeline
    engine: Engine

    async def add_silence(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Mute what `match` selects until `until`, a duration or a time, because of `why`; perhaps `commands`, too.

        Returns the row of the silence; `warning` says if it matches nothing now.
        """
        match, why = _match(request.get("match")), _reason(request.get("why"))
        if not why:
            raise ValueError("a silence needs a reason: --why")
        silences = self.pipeline.rules.muting.silences
        if len(silences) >= MOST_SILENCES:
            raise ValueError(f"there are {MOST_SILENCES} silences, as many as there may be; end one first")
        moment = self.engine.moment()
        until, lasts = _end(request.get("until"), moment)
        commands = request.get("commands") is True
        said = str(request["until"])
        by = asking_user() or "unknown"
        self.engine.fold(AddSilence(moment, match, until, lasts, said, commands, by, why))
        await self.engine.durable(self.engine.newest)
        *_, added = silences
        warning = matches_nothing(self.pipeline, match)
        return {**self._row(added, self._muted_alerts()), "warning": warning}

    def silences(self) -> list[dict[str, Any]]:
        """Describe the silences in force."""
        muted = self._muted_alerts()
        return [self._row(one, muted) for one in self.pipeline.rules.muting.silences]

    def _row(self, silence: Silence, firing: list[Transition]) -> dict[str, Any]:
        until, moment = silence.until, self.engine.moment()
        if silence.ends is not None:
            until = moment.wall + silence.ends - moment.monotonic
        return {
            "id": silence.id,
            "match": selection_text(silence.match),
            "commands": silence.commands,
            "until": until,
            "since": silence.since,
            "by": silence.by,
            "why": silence.why,
            "muted": sum(f"silence {silence.id}" in one.suppressed for one in firing),
        }

    def _muted_alerts(self) -> list[Transition]:
        return [one for one in self.pipeline.rules.firing() if one.suppressed]

    async def end_silence(self, request: Mapping[str, Any]) -> str:
        """End the silence numbered `silence`; alerts that still fire are told."""
        number, silences = request.get("silence"), self.pipeline.rules.muting.silences
        if number not in {one.id for one in silences}:
            known = ", ".join(str(one.id) for one in silences) or "none"
            raise ValueError(f"there is no silence {printable(number, 40)}; in force: {known}")
        self.engine.fold(EndSilence(self.engine.moment(), int(number), asking_user() or "unknown"))
        await self.engine.durable(self.engine.newest)
        return f"silence {number} is ended; what it muted and still fires is told now"

    async def acknowledge(self, request: Mapping[str, Any]) -> str:
        """Acknowledge an `alert`: by its id, the beginning of one, or RULE/SUBJECT."""
        row, why = self._listed(request.get("alert")), _reason(request.get("why") or "")
        name = f"{row['rule']}/{row['subject']}"
        if row["acked"]:
            return f"{name} is acknowledged already"
        by = asking_user() or "unknown"
        self.engine.fold(Acknowledge(self.engine.moment(), row["id"], by, why))
        await self.engine.durable(self.engine.newest)
        return f"{name} ({row['level']}, {row['state']}) is acknowledged by {by}"

    def unacknowledged(self) -> Iterator[dict[str, Any]]:
        """Alerts that nobody acknowledged: those that fire, and those that ended within a day."""
        return (row for row in self._rows() if not row["acked"])

    def _rows(self) -> Iterator[dict[str, Any]]:
        rules = self.pipeline.rules
        yield from map(alert_row, rules.firing())
        yield from rules.muting.acknowledgements.ended(self.engine.moment().monotonic)

    def _listed(self, wanted: Any) -> dict[str, Any]:
        rows, text = list(self._rows()), str(wanted)
        named = [row for row in rows if text in (row["id"], f"{row['rule']}/{row['subject']}")]
        if not named and len(text) >= LEAST_ID:
            named = [row for row in rows if row["id"].startswith(text)]
        if len({row["id"] for row in named[1:]}) > 0 and "/" not in text:
            raise ValueError(
                f"several alerts have ids that begin with {quoted(printable(text))}; write more of it"
            )
        if not named:
            known = [name for row in rows for name in (row["id"], f"{row['rule']}/{row['subject']}")]
            near = suggest(text, known)
            raise ValueError(
                f"no alert {quoted(printable(text))} fires or ended unacknowledged within a day{near}"
                "; `edge-gateway alerts --unacknowledged` lists them"
            )
        return named[0]


def _match(given: Any) -> dict[str, list[str]]:
    """The selection of a silence: keys to globs."""
    if not isinstance(given, dict) or not given:
        raise ValueError("a silence needs a selection: --match site=berlin, or --alert RULE/DEVICE")
    if len(given) > MOST_KEYS:
        raise ValueError(f"a silence selects by at most {MOST_KEYS} keys")
    for key, globs in given.items():
        texts = isinstance(globs, list) and globs and all(isinstance(one, str) and one for one in globs)
        if not texts or len(globs) > MOST_GLOBS or max(map(len, [key, *globs])) > LONGEST_GLOB:
            raise ValueError(
                f"'match' maps {quoted(printable(key))} to 1 to {MOST_GLOBS} texts of 1 to {LONGEST_GLOB} characters"
            )
        if any(printable(one) != one for one in (key, *globs)):
            raise ValueError(f"'match' has a character that cannot be shown in {quoted(printable(key))}")
    return Match.of(given).as_dict()


def _reason(given: Any) -> str:
    if not isinstance(given, str):
        raise ValueError("'why' must be a text")  # noqa: TRY004 - an answer
    return printable(given.strip(), LONGEST_REASON)


def _end(given: Any, moment: Moment) -> tuple[int, int | None]:
    """When a silence ends, wall ms, and for how long it lasts (ms) if that was given."""
    if not isinstance(given, str):
        raise ValueError("a silence needs an end: --until 2h, or --until 2026-01-31T06:00Z")  # noqa: TRY004 - an answer
    lasts: int | None = None
    try:
        lasts = parse_duration(given)
        until = moment.wall + lasts
    except ValueError:
        until = _time(given)
    if until <= moment.wall:
        raise ValueError(f"--until {printable(given, 40)} is over; it is {_stamp(moment.wall)} here")
    if until > moment.wall + LONGEST_SILENCE:
        raise ValueError("a silence lasts a year at most: what is to be muted for good belongs in the rules")
    return until, lasts


def _time(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ValueError(
            f"--until {quoted(printable(text))} is neither a duration nor a time; write 2h, or 2026-01-31T06:00Z"
        ) from None


def _stamp(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
