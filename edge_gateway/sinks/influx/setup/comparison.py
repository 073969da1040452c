"""How the server differs from the templates, property by property: `edge-gateway influx diff`."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge_gateway.sinks.influx.setup.facts import Properties
from edge_gateway.sinks.influx.setup.plan import Survey

_ABSENT: Final[Properties] = {}


@dataclass(frozen=True, slots=True)
class Deviation:
    """One property that differs.

    Attributes:
        kind, name: the resource.
        part: the cell of a dashboard, empty for the resource itself.
        property: its name; `retention` of a bucket is in seconds, 0 for ever.
        found, wanted: the value on the server, and that of the templates, as text; None where there is none.
    """

    kind: str
    name: str
    part: str
    property: str
    found: str | None
    wanted: str | None


def compared(survey: Survey) -> Iterator[Deviation]:
    """Yield what differs between the present and the wanted state, by kind and name."""
    for key in sorted(survey.wanted.keys() | survey.present.keys()):
        wanted, there = survey.wanted.get(key), survey.present.get(key)
        found = None if there is None else there.facts
        known = wanted or found
        name = "" if known is None else known.name
        ours, theirs = (None if one is None else one.keeps for one in (wanted, found))
        if ours != theirs:
            yield Deviation(key[0], name, "", "retention", _text(theirs), _text(ours))
        parts: Mapping[str, Properties] = {} if found is None else found.parts
        templates: Mapping[str, Properties] = {} if wanted is None else wanted.parts
        for part in sorted(parts.keys() | templates.keys()):
            yield from _of_part((key[0], name, part), parts.get(part, _ABSENT), templates.get(part, _ABSENT))


def _of_part(place: tuple[str, str, str], found: Properties, wanted: Properties) -> Iterator[Deviation]:
    for name in sorted(found.keys() | wanted.keys()):
        before, after = found.get(name), wanted.get(name)
        if before != after:
            yield Deviation(*place, name, _text(before), _text(after))


def _text(value: Any) -> str | None:
    """Return a value as people read it: texts as they are, and the lines of a query as lines."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).replace("\\n", "\n")
