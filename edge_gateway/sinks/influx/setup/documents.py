"""Fit the templates to a configuration."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from edge_gateway.configuration.shipped import shipped
from edge_gateway.errors import BadInput
from fleet_config.durations import format_duration
from fleet_config.yaml_source import FAST_LOADER

STACK: Final = "edge-fleet"
WINDOWS: Final = "fleet-windows"
"""Template name of the variable whose choices are the windows' buckets."""
_API: Final = "influxdata.com/v2alpha1"
_BASE_BUCKET: Final = '"telemetry"'
_SETTLED: Final = "settled = 0ms"

Document = dict[str, Any]
Key = tuple[str, str]
"""Kind and template name of a resource."""


@dataclass(frozen=True, slots=True)
class WindowBucket:
    """Windows of one length and their bucket; times in ms.

    Attributes:
        keep: retention, 0 for ever.
        settled: age from which a window is closed for all devices.
    """

    every: int
    bucket: str
    keep: int
    settled: int = 0


@dataclass(frozen=True, slots=True)
class KeptBucket:
    """A bucket of the stack that the configuration no longer names; its retention in s, 0 for ever."""

    template: str
    bucket: str
    description: str
    seconds: int


def key_of(document: Mapping[str, Any]) -> Key:
    """Return the key of a document's resource in a stack."""
    return resource_kind(document["kind"]), document["metadata"]["name"]


def resource_kind(kind: str) -> str:
    """Return the kind as stacks name it: all kinds of checks are `Check`."""
    return "Check" if kind.startswith("Check") else kind


def template_files() -> list[Path]:
    """Return the paths of the templates that ship with the gateway."""
    return sorted(shipped("influx").glob("*.yml"))


def documents_for(
    windows: Sequence[WindowBucket],
    kept: Sequence[KeptBucket] = (),
    offered: Mapping[str, str] | None = None,
) -> list[Document]:
    """Return the templates with the names, retention and window lengths of a configuration.

    Args:
        windows: those of the configuration, the base first.
        kept: further buckets to keep, because removing them would delete their points.
        offered: buckets by window length, as the server's variable offers them; kept ones stay offered.

    Raises:
        BadInput: two buckets have the same template name.
    """
    _check_names(windows)
    found = [one for path in template_files() for one in _loaded(path)]
    buckets = [_bucket(window) for window in windows] + [_kept(one) for one in kept]
    choices = {format_duration(window.every): window.bucket for window in windows}
    choices = _with_kept(choices, offered or {}, {one.bucket for one in kept})
    return buckets + [_fitted(one, windows, choices) for one in found if one["kind"] != "Bucket"]


def _loaded(path: Path) -> Iterator[Document]:
    return iter(yaml.load_all(path.read_text(encoding="utf-8"), Loader=FAST_LOADER))


def resource_name(bucket: str) -> str:
    """Return the template name of a bucket: at most 63 of a-z 0-9 -, as metadata.name allows."""
    return re.sub(r"[^a-z0-9]+", "-", bucket.lower()).strip("-")[:63] or "bucket"


def _check_names(windows: Sequence[WindowBucket]) -> None:
    """Raise BadInput if two buckets share a template name. Numbering them would swap buckets when a window is added."""
    seen: dict[str, str] = {}
    for window in windows:
        other = seen.setdefault(resource_name(window.bucket), window.bucket)
        if other != window.bucket:
            raise BadInput(
                f"windows: the names of the buckets '{other}' and '{window.bucket}' are the same once reduced to"
                " a-z, 0-9 and -, as templates need; rename one"
            )


def _bucket(window: WindowBucket) -> Document:
    description = f"Windows of {format_duration(window.every)}"
    return _bucket_document(resource_name(window.bucket), window.bucket, description, -(-window.keep // 1000))


def _kept(one: KeptBucket) -> Document:
    return _bucket_document(one.template, one.bucket, one.description, one.seconds)


def _bucket_document(template: str, name: str, description: str, seconds: int) -> Document:
    spec: Document = {
        "name": name,
        "description": description,
        "retentionRules": [{"type": "expire", "everySeconds": seconds}] if seconds else [],
        "associations": [{"kind": "Label", "name": STACK}],
    }
    return {"apiVersion": _API, "kind": "Bucket", "metadata": {"name": template}, "spec": spec}


def _with_kept(choices: dict[str, str], offered: Mapping[str, str], kept: set[str]) -> dict[str, str]:
    """Append kept buckets that were offered; where the length is taken, the bucket's name is added to it."""
    for length, bucket in offered.items():
        if bucket in kept:
            plain = length.removesuffix(f" ({bucket})")
            choices[plain if plain not in choices else f"{plain} ({bucket})"] = bucket
    return choices


def _fitted(document: Document, windows: Sequence[WindowBucket], choices: Mapping[str, str]) -> Document:
    spec = dict(document["spec"])
    base = json.dumps(windows[0].bucket, ensure_ascii=False)
    if document["metadata"]["name"] == WINDOWS:
        spec |= {"values": dict(choices), "selected": [format_duration(windows[0].every)]}
    elif "query" in spec:
        spec["query"] = spec["query"].replace(_BASE_BUCKET, base)
    elif document["kind"] == "Dashboard":
        settled = f"settled = {windows[0].settled}ms"
        spec["charts"] = [_fitted_chart(chart, base, settled) for chart in spec["charts"]]
    return {**document, "spec": spec}


def _fitted_chart(chart: Document, base: str, settled: str) -> Document:
    queries = [
        {**one, "query": one["query"].replace(_BASE_BUCKET, base).replace(_SETTLED, settled)}
        for one in chart.get("queries", ())
    ]
    return {**chart, "queries": queries} if queries else chart
