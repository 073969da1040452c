"""What operators do: silences, acknowledgements, devices to forget; each is noted in the history, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_gateway.fold.forget import forgotten_text
from edge_gateway.records.inputs import Acknowledge, AddSilence, EndSilence, Forget, Remind
from edge_gateway.rules.alerts.rule_state import Instant
from edge_gateway.rules.muting.acknowledgements import Acknowledgement
from edge_gateway.rules.muting.silences import Silence

if TYPE_CHECKING:
    from edge_gateway.fleet.admission import Admission
    from edge_gateway.fold.effects import Effects
    from edge_gateway.records.alerts import Transition
    from edge_gateway.records.inputs import Moment
    from edge_gateway.rules.alerts.evaluator import Evaluator

Operation = Forget | AddSilence | EndSilence | Acknowledge
SILENCED: Final = "silence"
SILENCE_ENDED: Final = "silence_ended"
ACKNOWLEDGED: Final = "acknowledged"
FORGOTTEN: Final = "forgotten"


def operate(rules: Evaluator, admission: Admission, given: Operation, effects: Effects) -> list[Transition]:
    """Carry out an operation; the transitions that it causes."""
    match given:
        case Forget():
            admission.forget(given.device, given.metric)
            effects.note(FORGOTTEN, forgotten_text(given))
            return []
        case AddSilence():
            return _add(rules, given, effects)
        case EndSilence():
            silence = rules.muting.end_silence(given.silence)
            if silence is not None:
                effects.note(SILENCE_ENDED, f"silence {silence.id} ended by {given.by}")
            return rules.release("operator", _instant(given.moment))
        case Acknowledge():
            return _acknowledge(rules, given, effects)


def _add(rules: Evaluator, given: AddSilence, effects: Effects) -> list[Transition]:
    moment = given.moment
    silence = rules.muting.silence(
        Silence(
            id=0,
            match=given.match,
            commands=given.commands,
            why=given.why,
            by=given.by,
            since=moment.wall,
            until=given.until,
            ends=None if given.lasts is None else moment.monotonic + given.lasts,
        )
    )
    until = f"until {given.said}" if given.lasts is None else f"for {given.said}"
    also = " and their commands" if given.commands else ""
    text = f"silence {silence.id} of {selection_text(given.match)}{also} {until} by {given.by}: {given.why}"
    effects.note(SILENCED, text)
    return []


def _acknowledge(rules: Evaluator, given: Acknowledge, effects: Effects) -> list[Transition]:
    """Acknowledge an alert; nothing if it is not listed any more."""
    acknowledgement = Acknowledgement(given.alert, given.by, given.why, given.moment.wall)
    told = rules.acknowledge(acknowledgement, _instant(given.moment))
    if told is None:
        row = rules.muting.acknowledgements.unlist(given.alert)
        found = [] if row is None else [(row["rule"], row["subject"])]
    else:
        found = [(told.rule, told.subject)]
    for rule, subject in found:
        why = f": {given.why}" if given.why else ""
        effects.note(ACKNOWLEDGED, f"{rule}/{subject} {given.alert} acknowledged by {given.by}{why}")
    return [] if told is None else [told]


def _instant(moment: Moment) -> Instant:
    return Instant(moment.listening, moment.wall, moment.trusted)


def end_silences(rules: Evaluator, moment: Moment, effects: Effects) -> bool:
    """End the silences that are over; return whether there were any. The next tick tells what they withheld."""
    ended = rules.muting.end_silences(moment)
    for silence in ended:
        effects.note(SILENCE_ENDED, f"silence {silence.id} is over")
    return bool(ended)


def remind(rules: Evaluator, given: Remind) -> list[Transition]:
    """The alerts of a reminder that fire: what the sinks get, while nothing is published."""
    return rules.remind(frozenset(given.alerts), _instant(given.moment))


def selection_text(match: dict[str, list[str]]) -> str:
    """A selection as operators write it: `site=berlin,lyon type=freezer`."""
    return " ".join(f"{key}={','.join(globs)}" for key, globs in match.items())
