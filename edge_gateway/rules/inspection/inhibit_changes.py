"""What an edit of the inhibits does: which alerts that fire now it mutes, and which it lets be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from edge_gateway.rules.muting.inhibition import Inhibition
from fleet_config.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_gateway.rules.language.inhibits import Inhibit, Selector
    from edge_gateway.rules.muting.subject import AlertSubject


def inhibit_changes(
    old: Sequence[Inhibit], new: Sequence[Inhibit], firing: Sequence[AlertSubject], most: int
) -> list[dict[str, Any]]:
    """A row, as of a rule, for each inhibit that is added or removed; one that is edited is both.

    `alerts` are up to `most` of those firing now that it mutes by itself, `touched` how many there are.
    """
    added = [_row(each, "added", firing, most) for each in new if each not in old]
    return [*added, *(_row(each, "removed", firing, most) for each in old if each not in new)]


def _row(
    inhibit: Inhibit, change: Literal["added", "removed"], firing: Sequence[AlertSubject], most: int
) -> dict[str, Any]:
    touched = list(_muted_by(inhibit, firing))
    becomes, more = ("muted", "") if change == "added" else ("told", " no more")
    return {
        "rule": "inhibit",
        "kind": "inhibit",
        "change": change,
        "effect": f"mutes{more} {sentence(inhibit)}",
        "differences": [],
        "renamed": None,
        "touched": len(touched),
        "alerts": [
            {
                "device": alert.name,
                "level": alert.level,
                "previous": alert.level,
                "becomes": becomes,
                "cause": f"{by}; {alert.rule}",
            }
            for alert, by in touched[:most]
        ],
    }


def _muted_by(inhibit: Inhibit, firing: Sequence[AlertSubject]) -> Iterator[tuple[AlertSubject, str]]:
    alone = Inhibition().replaced([inhibit], firing)
    return ((alert, mute.by) for alert in firing for mute in alone.muting(alert))


def sentence(inhibit: Inhibit) -> str:
    """What an inhibit mutes and when, in words."""
    equal = f", of equal {', '.join(inhibit.equal)}" if inhibit.equal else ""
    wait = f", and {format_duration(inhibit.wait_ms)} longer" if inhibit.wait_ms else ""
    commands = "; commands too" if inhibit.commands else ""
    return f"{_words(inhibit.target)} while {_words(inhibit.source)} fire{equal}{wait}{commands}"


def _words(selector: Selector) -> str:
    labels = {f"label {key}": globs for key, globs in selector.labels.items()}
    said = [f"{key} {' or '.join(globs)}" for key, globs in {**selector.match, **labels}.items()]
    return f"alerts of {', '.join(said)}" if said else "all alerts"
