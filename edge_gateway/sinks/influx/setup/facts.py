"""What a resource is, as properties that can be compared: as it is wanted, and as it is there.

A resource is parts by name, each a mapping of properties. Most have one part, ``""``; a dashboard has one more for each
cell. What the server gives itself (ids, times, links, owners) is no property. Retention stands apart, since what a
change of it costs depends on its direction.
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
    """`keeps` is the retention of a bucket in seconds, 0 for ever; None for what is no bucket.

    `shards` is the length of its shards in seconds, of a bucket that is there.
    """

    name: str
    parts: Mapping[str, Properties]
    keeps: int | None = None
    shards: int | None = None

    def digests(self) -> dict[str, str]:
        """A short digest of each part."""
        return {part: digest(properties) for part, properties in self.parts.items()}


def digest(properties: Properties) -> str:
    text = json.dumps(properties, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_DIGITS]


def wanted_facts(kind: str, item: Mapping[str, Any], document: Document) -> Facts:
    """What the server would make of a document, from its dry run."""
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
    """What is stored, from the server's answer for the resource."""
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
    """Names of the properties that differ, those of nested ones by their path."""
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
    """Colours have an id that each save gives anew."""
    if isinstance(value, list):
        return [
            {key: inner for key, inner in one.items() if key != "id"} if isinstance(one, dict) else one
            for one in value
        ]
    return value


def _by_name(cells: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, Properties]:
    """Cells as parts; the second one of a name gets a number."""
    seen: Counter[str] = Counter()
    parts: dict[str, Properties] = {}
    for name, properties in sorted(cells, key=lambda cell: (cell[1]["y"], cell[1]["x"])):
        seen[name] += 1
        parts[f"cell '{name}'" + (f" #{seen[name]}" if seen[name] > 1 else "")] = properties
    return parts
