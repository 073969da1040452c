"""Rules over groups of devices: what `by` asks of their expressions, and which keys it leaves without meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_gateway.rules.language import advice
from edge_gateway.rules.language.analysis import Analysis, analyse
from edge_gateway.rules.language.expression import TagRef
from edge_gateway.rules.language.template import names_in, parts_of
from edge_gateway.rules.language.tokens import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_gateway.rules.files.model import AlertSpec, LimitSpec
    from edge_gateway.rules.files.places import Place

_WITHOUT_MEANING: Final = {
    "commands": "a group has no command topic; let a rule without 'by' command each device",
    "no_data": "with 'by' silence is a condition: expr: share(no_data(temperature, 1m)), above: 0.5",
    "warmup": "a group is no device that begins to send; with 'by' leave it out",
    "notify_device": "a group has no command topic; with 'by' no device is notified",
}


def check_grouping(spec: AlertSpec, place: Place) -> None:
    """Report what does not fit a rule of groups, or of devices."""
    for text, where in _expressions(spec, place):
        analysis = _analysis(text)
        if analysis is not None and spec.by:
            _check_of_group(analysis, where)
        elif analysis is not None:
            check_of_device(analysis, where)
    if spec.by:
        _check_keys(spec, place)
        _check_overrides(spec, spec.by, place)
    _check_texts(spec, place)


def _expressions(spec: AlertSpec, place: Place) -> Iterator[tuple[str, Place]]:
    own: list[tuple[AlertSpec | LimitSpec, Place]] = [(spec, place)]
    own += [(level, place.at("levels", name)) for name, level in (spec.levels or {}).items()]
    for each, here in own:
        for key in ("expr", "clear"):
            text = getattr(each, key)
            if isinstance(text, str):
                yield text, here.at(key)


def _analysis(text: str) -> Analysis | None:
    try:
        return analyse(text)
    except ExpressionError:
        return None  # reported at the expression


def check_of_device(analysis: Analysis, place: Place) -> None:
    """Report the first aggregate in an expression that is evaluated for each device."""
    for call in analysis.aggregates[:1]:
        over_time = advice.of_time(call.name)
        two = f"; of two values write {call.name}(x, y)" if call.name in ("min", "max") else ""
        told = f"{call.name}(…) is over a group of devices: add by: [site] to the alert{over_time}{two}"
        place.report_within(ExpressionError(call.at, told))


def _check_of_group(analysis: Analysis, place: Place) -> None:
    node = analysis.outside
    if node is not None:
        instead = f"share(tag.{node.name} == …)" if isinstance(node, TagRef) else f"avg({node.name})"
        told = f"with 'by' each device has its own '{node.name}'; put it into an aggregate, as in {instead}"
        place.report_within(ExpressionError(node.at, told))


def _check_keys(spec: AlertSpec, place: Place) -> None:
    for key, why in _WITHOUT_MEANING.items():
        if key in spec.model_fields_set:
            place.at(key).report(f"{key}: {why}", key=True)
    waits = [(spec.for_, place)]
    waits += [(level.for_, place.at("levels", name)) for name, level in (spec.levels or {}).items()]
    for wait, here in waits:
        if wait.readings:
            here.at("for").report("for: a group is looked at every second; with 'by' write a time, as in 30s")


def _check_overrides(spec: AlertSpec, by: tuple[str, ...], place: Place) -> None:
    for index, override in enumerate(spec.overrides):
        for key in (key for key, _ in override.match.globs if key not in by):
            told = f"match: an override is for groups; it can only select by {', '.join(by)}, not by {key}"
            place.at("overrides", index, "match", key).report(told, key=True)


def _check_texts(spec: AlertSpec, place: Place) -> None:
    """Report texts that name the device of a group, or the devices of a device."""
    wrong, why = ("device", "a group has no device; write {{ subject }} or {{ devices }}")
    if not spec.by:
        wrong, why = ("devices", "only a rule with 'by' has devices; write {{ device }}")
    for key in ("labels", "annotations"):
        for name, text in getattr(spec, key).items():
            if _names(text, wrong):
                place.at(key, name).report(f"{key}: {why}")


def _names(text: str, name: str) -> bool:
    try:
        parts_of(text)
    except ExpressionError:
        return False  # reported beside
    return name in names_in(text)
