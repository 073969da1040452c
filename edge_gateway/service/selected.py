"""What a selection of a silence finds among the devices and rules that there are, and what may be misspelt in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from edge_gateway.rules.muting.subject import attributes_of
from fleet_config.match import Match
from fleet_config.problems import quoted, suggest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edge_gateway.fold.pipeline import Pipeline

OF_ALERTS: Final = ("alert", "level")
"""Keys that are of the alert, and not of what it is about."""
LEVELS: Final = ("critical", "warning", "info")


def matches_nothing(pipeline: Pipeline, match: Mapping[str, list[str]]) -> str:
    """Return why no alert can be selected as things are; "" if one can.

    Args:
        pipeline: the fold, with its devices and rules.
        match: globs by `alert`, `level`, `subject`, site, device, type and tags.
    """
    subjects = list(_subjects(pipeline))
    alerts = [rule.name for rule in pipeline.rules.rules.rules if not rule.record]
    of_subject = {key: globs for key, globs in match.items() if key not in OF_ALERTS}
    wrong = [_unfit("alert", match["alert"], alerts)] if "alert" in match else []
    wrong += [_unfit("level", match["level"], LEVELS)] if "level" in match else []
    if of_subject and not any(Match.of(of_subject).fits(one) for one in subjects):
        keys = {key for one in subjects for key in one}
        for key, globs in of_subject.items():
            values = sorted({one[key] for one in subjects if key in one})
            wrong.append(_unfit(key, globs, values) if key in keys else _unknown_key(key, keys))
        if not any(wrong):
            wrong.append(f"no device has all of {', '.join(of_subject)} like this")
    return "; ".join(filter(None, wrong))


def _subjects(pipeline: Pipeline) -> Iterator[dict[str, Any]]:
    registry = pipeline.registry
    for device in filter(registry.is_live, range(registry.devices)):
        yield {**attributes_of(registry, device), "subject": registry.device_name[device]}


def _unfit(key: str, globs: list[str], values: list[str] | tuple[str, ...]) -> str:
    """Return what to say of globs of a key that fit no value; "" if one does."""
    match = Match.of({key: globs})
    if any(match.fits({key: value}) for value in values):
        return ""
    what = (
        "rule"
        if key == "alert"
        else f"device with {key}"
        if key not in ("device", "subject", "level")
        else key
    )
    return f"no {what} {', '.join(map(quoted, globs))} is known here{suggest(globs[0], values)}"


def _unknown_key(key: str, keys: set[str]) -> str:
    return f"no device has a tag {quoted(key)}{suggest(key, [*keys, *OF_ALERTS])}"
