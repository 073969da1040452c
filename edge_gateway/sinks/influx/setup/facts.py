"""Resources reduced to comparable properties, as wanted and as found.

A resource has parts by name, each a mapping of properties: one part, ``""``, and for a dashboard one more per cell.
What the server assigns (ids, times, links, owners) is left out. Retention is kept apart, because shortening it deletes
points.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge_gateway.sinks.influx.setup.documents import Document

Properties = Mapping[str, Any]
_SECOND: Final = 1_000_000_000
_NOT_PROPERTIES: Final = frozenset(
    {"id", "orgID", "ownerID", "taskID", "createdAt", "updatedAt", "labels", "links"}
    | {"latestCompleted", "latestScheduled", "lastRunStatus", "lastRunError"}
)
_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Facts:
    """A resource's name and parts.

    Attributes:
        keeps: a bucket's retention in s, 0 for ever; None for other resources.
        shards: an existing bucket's shard length in s.
    """

    name: str
    parts: Mapping[str, Properties]
    keeps: int | None = None
    shards: int | None = None

    def digests(self) -> dict[str, str]:
        """Return a digest of each part."""
        return {part: digest(properties) for part, properties in self.parts.items()}


def digest(properties: Properties) -> str:
    text = json.dumps(properties, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_DIGITS]


def wanted_facts(kind: str, item: Mapping[str, Any], document: Document) -> Facts:
    """Return the facts of a document, from `item`, the server's dry run of it."""
    if kind == "Bucket":
        return Facts(item["name"], {"": _plain(item)}, item["retentionPeriod"] // _SECOND)
    if kind == "Variable":
        chosen = document["spec"].get("selected") or []
        return Facts(item["name"], {"": _variable(item, chosen)})
    if kind == "Check":
        return Facts(item["check"]["name"], {"": _check(item["check"] | {"status": item["status"]})})
    if kind == "Dashboard":
        charts = {(one["xPos"], one["yPos"]): one for one in item["charts"]}
        cells = [
            _cell(
                one["name"],
                charts[one["xPos"], one["yPos"]]["properties"],
                [one[key] for key in ("xPos", "yPos", "width", "height")],
            )
            for one in document["spec"]["charts"]
        ]
        return Facts(item["name"], {"": _plain(item)} | _by_name(cells))
    return Facts(item["name"], {"": _plain(item) | (item.get("properties") or {})})


def found_facts(kind: str, raw: Mapping[str, Any]) -> Facts:
    """Return the facts of a stored resource, from the server's answer."""
    if kind == "Bucket":
        rules = raw.get("retentionRules") or ()
        seconds = sum(rule["everySeconds"] for rule in rules)
        shards = sum(rule.get("shardGroupDurationSeconds") or 0 for rule in rules)
        return Facts(raw["name"], {"": _plain(raw)}, seconds, shards)
    if kind == "Variable":
        return Facts(raw["name"], {"": _variable(raw, raw.get("selected") or [])})
    if kind == "Check":
        return Facts(raw["name"], {"": _check(raw)})
    if kind == "Dashboard":
        cells = [
            _cell(one.get("name", ""), one.get("properties", {}), [one.get(key, 0) for key in "xywh"])
            for one in raw.get("cells") or ()
        ]
        return Facts(raw["name"], {"": _plain(raw)} | _by_name(cells))
    return Facts(raw["name"], {"": _plain(raw) | (raw.get("properties") or {})})


def differences(wanted: Properties, found: Properties) -> list[str]:
    """Return the names of differing properties, nested ones as a path."""
    names = []
    for key in sorted(wanted.keys() | found.keys()):
        ours, theirs = wanted.get(key), found.get(key)
        if ours == theirs:
            continue
        if isinstance(ours, dict) and isinstance(theirs, dict) and all(isinstance(one, str) for one in ours):
            names += [f"{key}.{inner}" for inner in differences(ours, theirs)]
        else:
            names.append(key)
    return names


def _plain(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": raw["name"], "description": raw.get("description") or ""}


def _variable(raw: Mapping[str, Any], selected: Sequence[str]) -> dict[str, Any]:
    arguments = raw["arguments"]
    return _plain(raw) | {
        "type": arguments["type"],
        "values": arguments["values"],
        "selected": list(selected),
    }


def _check(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in raw.items() if key not in _NOT_PROPERTIES}


def _cell(name: str, properties: Properties, place: Sequence[int]) -> tuple[str, dict[str, Any]]:
    x, y, width, height = place
    bare: dict[str, Any] = {key: _without_ids(value) for key, value in properties.items()}
    return name, bare | {"x": x, "y": y, "width": width, "height": height}


def _without_ids(value: Any) -> Any:
    """Drop the ids inside a value: each save gives colours new ones."""
    if isinstance(value, list):
        return [
            {key: inner for key, inner in one.items() if key != "id"} if isinstance(one, dict) else one
            for one in value
        ]
    return value


def _by_name(cells: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, Properties]:
    """Return cells as parts; repeated names are numbered from the second on."""
    seen: Counter[str] = Counter()
    parts: dict[str, Properties] = {}
    for name, properties in sorted(cells, key=lambda cell: (cell[1]["y"], cell[1]["x"])):
        seen[name] += 1
        parts[f"cell '{name}'" + (f" #{seen[name]}" if seen[name] > 1 else "")] = properties
    return parts
