"""`inhibit:` in rule files: its schema, and its inhibits as the gateway runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from edge_gateway.rules.language.inhibits import Inhibit, Selector
from fleet_config import spelling
from fleet_config.durations import Duration
from fleet_config.match import Globs, Match, MatchSpec, TagName
from fleet_config.problems import suggest
from fleet_config.validation import Strict

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from edge_gateway.rules.files.places import Place

MOST_INHIBITS: Final = 200
"""In all files together."""
LevelName = Literal["critical", "warning", "info"]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Levels = Annotated[
    tuple[LevelName, ...],
    Field(min_length=1),
    BeforeValidator(_listed, json_schema_input_type=LevelName | tuple[LevelName, ...]),
]


class SelectorSpec(Strict):
    """Some alerts: all of what is given must fit."""

    alert: Globs | None = None
    """Names of alerts; globs; a list means one of."""
    level: Levels | None = None
    """Levels at which they fire; a list means one of."""
    labels: dict[Annotated[str, spelling.LABEL], Globs] = Field(default_factory=dict)
    """Labels that the rule gives its alert; globs; a list means one of."""
    match: MatchSpec | None = None
    """What they are about: site, device, type or any birth tag; globs; a list means one of."""

    @model_validator(mode="after")
    def _selects(self) -> SelectorSpec:
        if not (self.alert or self.level or self.labels or self.match):
            raise ValueError("this selects every alert; name an 'alert', a 'level', 'labels' or a 'match'")
        return self


class InhibitSpec(Strict):
    """While a source alert fires, nobody is told of its targets."""

    source: SelectorSpec
    """The alerts that mute others while they fire."""
    target: SelectorSpec
    """The alerts that are muted. None mutes itself."""
    equal: Annotated[tuple[TagName, ...], Field(max_length=8)] = ()
    """What source and target must share: site, type, or birth tags. What one of them lacks they do not share."""
    wait: Duration = 0
    """How long targets wait after the source has ended; those that still fire then are told."""
    commands: bool = False
    """Whether commands of the targets are muted, too; never those that end what earlier ones began."""


def inhibit_of(spec: InhibitSpec) -> Inhibit:
    """The inhibit as the gateway runs it."""
    source, target = _selector(spec.source), _selector(spec.target)
    return Inhibit(source, target, spec.equal, spec.wait, spec.commands)


def _selector(spec: SelectorSpec) -> Selector:
    match: dict[str, list[str]] = {} if spec.match is None else spec.match.as_dict()
    for key, globs in (("alert", spec.alert), ("level", spec.level)):
        if globs is not None:
            match[key] = list(globs)
    return Selector(match, {name: list(globs) for name, globs in spec.labels.items()})


def check_names(spec: InhibitSpec, alerts: Collection[str], place: Place) -> None:
    """Report the names that no alert of any file has."""
    for side, selector in (("source", spec.source), ("target", spec.target)):
        for glob in selector.alert or ():
            if not any(Match.of({"alert": glob}).fits({"alert": name}) for name in alerts):
                told = f"no rule of any file has an alert '{glob}'{suggest(glob, alerts)}"
                place.at(side, "alert").report(f"alert: {told}")
