"""Buckets, variables and the dashboard in InfluxDB, kept in step through one stack.

    influx/*.yml + gateway.yaml's windows ─▶ documents ─▶ plan (a dry run on the server) ─▶ apply

Without a stack every apply would make the dashboard again. A bucket that the documents no longer name is never
removed: it is put back into them as it is, because its removal would take its data along.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import aiohttp
import yaml

from edge_gateway.errors import BadInput, CannotReach
from fleet_config.durations import format_duration

STACK: Final = "edge-fleet"
TIMEOUT: Final = 30.0
_API: Final = "influxdata.com/v2alpha1"
_BASE_BUCKET: Final = '"telemetry"'
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_FAILED: Final = 400
_SERVER_FAILED: Final = 500
_CHECK_FACTS: Final = (
    "name",
    "every",
    "timeSince",
    "staleTime",
    "level",
    "statusMessageTemplate",
    "reportZero",
)

Document = dict[str, Any]
What = Literal["create", "update", "keep", "remove"]


@dataclass(frozen=True, slots=True)
class Target:
    """A server, an organisation by name, and a token that may manage it."""

    url: str
    org: str
    token: str


@dataclass(frozen=True, slots=True)
class WindowBucket:
    """Windows of one length and their bucket; `every` and `keep` in ms."""

    every: int
    bucket: str
    keep: int


@dataclass(frozen=True, slots=True)
class Change:
    """What an apply does, or did, to one resource."""

    what: What
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Changes by kind and name; `stack` is empty where there is none yet."""

    stack: str
    changes: tuple[Change, ...]

    @property
    def in_step(self) -> bool:
        """Whether the server has everything as the documents say."""
        return bool(self.stack) and all(change.what == "keep" for change in self.changes)


async def plan(target: Target, windows: Sequence[WindowBucket]) -> Plan:
    """Say what `apply` would change, checked by the server; nothing is changed.

    Raises CannotReach where the server does not answer, BadInput where it does not accept.
    """
    async with _server(target) as server:
        stack = await server.stack()
        documents = await _documents(server, stack, windows)
        return Plan(stack.id, await _changes(server, stack, documents))


async def apply(target: Target, windows: Sequence[WindowBucket]) -> Plan:
    """Bring the server in step; returns what was changed. Doing it again changes nothing.

    Raises CannotReach where the server does not answer, BadInput where it does not accept.
    """
    async with _server(target) as server:
        stack = await server.stack()
        documents = await _documents(server, stack, windows)
        changes = await _changes(server, stack, documents)
        if not stack.id:
            stack = await server.make_stack()
        await server.post_template(stack.id, documents, dry_run=False)
        return Plan(stack.id, changes)


# --- documents


def template_files() -> list[Path]:
    """The templates: in the package when it is installed, beside it in a checkout."""
    here = Path(__file__).parent
    for directory in (here / "influx_templates", here.parent / "influx"):
        if files := sorted(directory.glob("*.yml")):
            return files
    raise BadInput(f"the InfluxDB templates are missing beside {here}; install the package again")


def documents_for(windows: Sequence[WindowBucket]) -> list[Document]:
    """The templates with names, retention and window lengths of a configuration, the base windows first."""
    found = [one for path in template_files() for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))]
    made: list[Document] = [_bucket(window) for window in windows]
    return made + [_fitted(one, windows) for one in found if one["kind"] != "Bucket"]


def resource_name(bucket: str) -> str:
    """A template's name for a bucket: at most 63 of a-z 0-9 -, as metadata.name allows."""
    return re.sub(r"[^a-z0-9]+", "-", bucket.lower()).strip("-")[:63] or "bucket"


def _bucket(window: WindowBucket) -> Document:
    spec = {
        "name": window.bucket,
        "description": f"Windows of {format_duration(window.every)}",
        "retentionRules": [{"type": "expire", "everySeconds": window.keep // 1000}],
        "associations": [{"kind": "Label", "name": STACK}],
    }
    return {
        "apiVersion": _API,
        "kind": "Bucket",
        "metadata": {"name": resource_name(window.bucket)},
        "spec": spec,
    }


def _fitted(document: Document, windows: Sequence[WindowBucket]) -> Document:
    name, spec = document["metadata"]["name"], dict(document["spec"])
    if name == "windows":
        spec["values"] = {format_duration(window.every): window.bucket for window in windows}
        spec["selected"] = [format_duration(windows[0].every)]
    elif name == "base":
        spec["values"] = [windows[0].bucket]
    elif document["kind"] == "CheckDeadman":
        spec["query"] = spec["query"].replace(_BASE_BUCKET, json.dumps(windows[0].bucket))
    return {**document, "spec": spec}


async def _documents(server: "_Server", stack: "_Stack", windows: Sequence[WindowBucket]) -> list[Document]:
    documents = documents_for(windows)
    named = {one["metadata"]["name"] for one in documents if one["kind"] == "Bucket"}
    orphans = {name: number for name, number in stack.buckets.items() if name not in named}
    return documents + [await server.bucket_as_it_is(name, number) for name, number in orphans.items()]


# --- what changes


async def _changes(server: "_Server", stack: "_Stack", documents: Sequence[Document]) -> tuple[Change, ...]:
    charts = {
        one["metadata"]["name"]: one["spec"]["charts"] for one in documents if one["kind"] == "Dashboard"
    }
    changes = []
    for items in (await server.post_template(stack.id, documents, dry_run=True)).values():
        for item in items or ():
            if isinstance(item, dict) and "templateMetaName" in item:
                what = await _what(server, item, charts)
                changes.append(Change(what, item["kind"], (item["new"] or item["old"] or {}).get("name", "")))
    return tuple(sorted(changes, key=lambda change: (change.kind, change.name)))


async def _what(server: "_Server", item: Mapping[str, Any], charts: Mapping[str, Sequence[Document]]) -> What:
    if item["stateStatus"] == "new":
        return "create"
    if item["stateStatus"] == "remove":
        return "remove"
    if item["kind"] == "Dashboard":
        # The server's own difference knows neither properties nor places of cells.
        same = _wanted(charts[item["templateMetaName"]]) == _found(await server.cells(item["id"]))
    elif item["kind"].startswith("Check"):
        same = _check(item["new"]) == _check(item["old"])
    else:
        same = item["new"] == item["old"]
    return "keep" if same else "update"


def _wanted(charts: Sequence[Document]) -> list[tuple[Any, ...]]:
    """What tells a dashboard's cells apart, as the documents have them: place, type, note and queries."""
    return sorted(
        (
            *(chart[key] for key in ("xPos", "yPos", "width", "height")),
            chart["kind"].lower().replace("_", "-"),
            chart["note"],
            tuple(query["query"] for query in chart.get("queries", ())),
        )
        for chart in charts
    )


def _found(cells: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """The same of the cells a server has."""
    return sorted(
        (
            *(cell.get(key, 0) for key in ("x", "y", "w", "h")),
            cell["properties"].get("type", ""),
            cell["properties"].get("note", ""),
            tuple(query["text"] for query in cell["properties"].get("queries") or ()),
        )
        for cell in cells
    )


def _check(check: Mapping[str, Any]) -> tuple[Any, ...]:
    return (*(check.get(fact) for fact in _CHECK_FACTS), check["query"]["text"])


# --- the server


@dataclass(frozen=True, slots=True)
class _Stack:
    """The stack's id, empty where there is none, and the ids of its buckets by template name."""

    id: str
    buckets: Mapping[str, str]


class _Server:
    """The few requests of the management API that this needs."""

    def __init__(self, session: aiohttp.ClientSession, target: Target) -> None:
        self._session = session
        self._target = target
        self._org_id = ""

    async def stack(self) -> _Stack:
        """The stack that is there."""
        query = f"orgID={await self._org()}&name={STACK}"
        for stack in (await self._call("GET", f"/api/v2/stacks?{query}")).get("stacks") or ():
            if stack["eventType"] != "uninstall":
                resources = stack["resources"] or ()
                buckets = {r["templateMetaName"]: r["resourceID"] for r in resources if r["kind"] == "Bucket"}
                return _Stack(stack["id"], buckets)
        return _Stack("", {})

    async def make_stack(self) -> _Stack:
        body = {
            "orgID": await self._org(),
            "name": STACK,
            "description": "Buckets, variables and the dashboard of the edge gateway",
            "urls": [],
        }
        return _Stack((await self._call("POST", "/api/v2/stacks", body))["id"], {})

    async def post_template(
        self, stack: str, documents: Sequence[Document], *, dry_run: bool
    ) -> dict[str, Any]:
        """Apply documents, or only say what that would change; returns the difference."""
        body = {"dryRun": dry_run, "orgID": await self._org(), "template": {"contents": list(documents)}}
        if stack:
            body["stackID"] = stack
        answer: dict[str, Any] = (await self._call("POST", "/api/v2/templates/apply", body))["diff"]
        return answer

    async def bucket_as_it_is(self, name: str, number: str) -> Document:
        bucket = await self._call("GET", f"/api/v2/buckets/{number}")
        rules = [
            {"type": "expire", "everySeconds": rule["everySeconds"]}
            for rule in bucket.get("retentionRules") or ()
            if rule["everySeconds"]
        ]
        spec = {"name": bucket["name"], "description": bucket.get("description", ""), "retentionRules": rules}
        return {"apiVersion": _API, "kind": "Bucket", "metadata": {"name": name}, "spec": spec}

    async def cells(self, dashboard: int | str) -> list[dict[str, Any]]:
        """A dashboard's cells with their properties; the difference names it by number, paths by hexadecimal."""
        number = dashboard if isinstance(dashboard, str) else f"{dashboard:016x}"
        answer = await self._call("GET", f"/api/v2/dashboards/{number}?include=properties")
        cells: list[dict[str, Any]] = answer["cells"]
        return cells

    async def _org(self) -> str:
        if not self._org_id:
            answer = await self._call("GET", "/api/v2/orgs", params={"org": self._target.org})
            self._org_id = answer["orgs"][0]["id"]
        return self._org_id

    async def _call(
        self, method: str, path: str, body: object = None, params: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        try:
            async with self._session.request(
                method, f"{self._target.url}{path}", json=body, params=params, allow_redirects=False
            ) as answer:
                text = await answer.text()
                if answer.status >= _FAILED:
                    raise _refusal(self._target, answer.status, text)
                found: dict[str, Any] = json.loads(text)
                return found
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise CannotReach(
                f"InfluxDB at {self._target.url} does not answer: {error or 'timeout'}"
            ) from error
        except ValueError as error:
            raise CannotReach(f"what answers at {self._target.url} is not InfluxDB 2") from error


def _refusal(target: Target, status: int, text: str) -> BadInput | CannotReach:
    said = _message(text)
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        return BadInput(
            f"InfluxDB at {target.url}: the token may not manage '{target.org}' ({status}: {said})"
        )
    if status >= _SERVER_FAILED:
        return CannotReach(f"InfluxDB at {target.url} failed ({status}: {said})")
    return BadInput(f"InfluxDB at {target.url} does not accept this ({status}: {said})")


def _message(text: str) -> str:
    try:
        told = json.loads(text)
        return str(told.get("message") or told.get("errors") or told)
    except (ValueError, AttributeError):
        return text[:200]


@asynccontextmanager
async def _server(target: Target) -> AsyncIterator[_Server]:
    headers = {"Authorization": f"Token {target.token}"}
    async with aiohttp.ClientSession(
        headers=headers, timeout=aiohttp.ClientTimeout(total=TIMEOUT)
    ) as session:
        yield _Server(session, target)
