"""What an edit of the inhibits does to the alerts that fire: which are muted by it, and which are muted no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edge_gateway.rules.inspection.wording import alternatives
from fleet_config.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, Literal

    from edge_gateway.rules.alerts.evaluator import Evaluator
    from edge_gateway.rules.language.inhibits import Inhibit, Selector
    from edge_gateway.rules.muting.subject import AlertSubject


class InhibitChange(NamedTuple):
    """An inhibit that an edit adds or removes, and the alerts that it mutes after or before the edit.

    Attributes:
        touched: each with whether anything mutes it after the edit. Alerts that the edit ends are not among them.
    """

    inhibit: Inhibit
    change: Literal["added", "removed"]
    touched: tuple[tuple[AlertSubject, bool], ...]


def compare_inhibits(before: Evaluator, after: Evaluator) -> list[InhibitChange]:
    """The inhibits that a reload added and those that it removed, in the order of the files.

    `after` is a copy of `before` that was reloaded. An inhibit whose content changed is removed and added.
    """
    old, new = before.rules.inhibits, after.rules.inhibits
    standing = after.firing_subjects()
    own = {subject.key for subject in standing}
    ending = [subject for subject in before.firing_subjects() if subject.key in own]
    return [
        *(InhibitChange(each, "added", _muted(each, after, standing, after)) for each in _only(new, old)),
        *(InhibitChange(each, "removed", _muted(each, before, ending, after)) for each in _only(old, new)),
    ]


def _only(inhibits: Sequence[Inhibit], others: Sequence[Inhibit]) -> list[Inhibit]:
    """The inhibits that the others do not have, as often as these have them more often."""
    left, found = list(others), []
    for each in inhibits:
        if each in left:
            left.remove(each)
        else:
            found.append(each)
    return found


def _muted(
    inhibit: Inhibit, of: Evaluator, subjects: Sequence[AlertSubject], after: Evaluator
) -> tuple[tuple[AlertSubject, bool], ...]:
    """The alerts among `subjects` that this inhibit alone mutes in `of`, its waits included."""
    alone = of.muting.inhibition.replaced((inhibit,), of.firing_subjects())
    return tuple(
        (subject, bool(after.muting.standing(subject))) for subject in subjects if any(alone.muting(subject))
    )


def inhibit_row(change: InhibitChange, most: int) -> dict[str, Any]:
    """A change for an answer, as those of rules are, with at most `most` of its alerts."""
    added = change.change == "added"
    return {
        "rule": inhibit_text(change.inhibit),
        "kind": "inhibit",
        "change": change.change,
        "effect": "mutes while its source fires" if added else "mutes no more",
        "differences": [],
        "renamed": None,
        "touched": len(change.touched),
        "alerts": [
            {
                "device": f"{subject.rule}/{subject.name}",
                "level": subject.level,
                "previous": subject.level,
                "becomes": "muted" if muted else "not muted",
                "cause": "reload",
            }
            for subject, muted in change.touched[:most]
        ],
    }


def inhibit_text(inhibit: Inhibit) -> str:
    """An inhibit in words: `inhibit: alert SiteDown mutes level warning or info of the same site`."""
    return f"inhibit: {_selected(inhibit.source)} mutes {_selected(inhibit.target)}{''.join(_terms(inhibit))}"


def _terms(inhibit: Inhibit) -> Iterator[str]:
    if inhibit.equal:
        yield f" of the same {', '.join(inhibit.equal)}"
    if inhibit.wait_ms:
        yield f", waits {format_duration(inhibit.wait_ms)}"
    if inhibit.commands:
        yield ", commands too"


def _selected(selector: Selector) -> str:
    said = [f"{key} {alternatives(globs)}" for key, globs in selector.match.items()]
    said += [f"label {key} {alternatives(globs)}" for key, globs in selector.labels.items()]
    return ", ".join(said) or "every alert"
