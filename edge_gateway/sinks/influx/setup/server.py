"""The requests to InfluxDB's management API that the setup needs."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from edge_gateway.errors import BadInput, CannotReach
from edge_gateway.sinks.answer_text import in_short, text_of
from edge_gateway.sinks.http_client import HttpClient, NoAnswer
from edge_gateway.sinks.http_connection import Response
from edge_gateway.sinks.influx.no_answer import why_no_answer
from edge_gateway.sinks.influx.setup.documents import STACK, Document, Key, resource_kind
from fleet_wire.printable import printable

TIMEOUT: Final = 120.0
"""Seconds for a whole request."""
_MOST_TEXT: Final = 64 << 20
"""Bytes read of an answer, and kept of it when unpacked. InfluxDB sends less."""
_APPLIED: Final = " As applied: "
_DESCRIPTION: Final = "Buckets, variables, dashboard and check of the edge gateway."
_PATHS: Final = {
    "Bucket": "buckets/{}",
    "Check": "checks/{}",
    "Dashboard": "dashboards/{}?include=properties",
    "Label": "labels/{}",
    "NotificationEndpoint": "notificationEndpoints/{}",
    "NotificationRule": "notificationRules/{}",
    "Task": "tasks/{}",
    "Telegraf": "telegrafs/{}",
    "Variable": "variables/{}",
}
"""Paths by kind, including kinds that no template has but that a user may have added to the stack."""
_PAGE: Final = 100
"""Dashboards in one answer, the most that InfluxDB allows."""
_NO_CONTENT: Final = 204
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_FAILED: Final = 400
_SERVER_FAILED: Final = 500


@dataclass(frozen=True, slots=True)
class Target:
    """A server, the name of an organisation, and a token that may manage it."""

    url: str
    org: str
    token: str


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack.

    Attributes:
        id: empty if there is none.
        resources: their ids.
        applied: digests of what was applied last, by `part_key`.
        made: when it was created, as the server writes it.
    """

    id: str = ""
    resources: Mapping[Key, str] | None = None
    applied: Mapping[str, str] | None = None
    made: str = ""


@dataclass(frozen=True, slots=True)
class DryRun:
    """The server's dry run: each resource as it would be stored, and the ids of existing ones of the same names."""

    wanted: Mapping[Key, Mapping[str, Any]]
    named: Mapping[Key, str]


class Server:
    """An organisation on a server."""

    def __init__(self, client: HttpClient, target: Target) -> None:
        self._client = client
        self._target = target
        self._org_id = ""

    async def stack(self) -> Stack:
        """Return the gateway's stack, an empty one if there is none."""
        return next(iter(await self.stacks()), Stack())

    async def stacks(self) -> list[Stack]:
        """Return all stacks of the name, the oldest first, which is the gateway's."""
        query = f"orgID={await self._org()}&name={STACK}"
        found = (await self._call("GET", f"/api/v2/stacks?{query}")).get("stacks") or ()
        there = [_stack(one) for one in found if one["eventType"] != "uninstall"]
        return sorted(there, key=lambda stack: (_instant(stack.made), stack.id))

    async def make_stack(self) -> str:
        """Create a stack; return its id."""
        body = {"orgID": await self._org(), "name": STACK, "description": _DESCRIPTION, "urls": []}
        return str((await self._call("POST", "/api/v2/stacks", body))["id"])

    async def remove_empty_stack(self, stack: str) -> None:
        """Delete a stack without resources. Deleting one deletes its resources, including buckets with their points."""
        await self._call("DELETE", f"/api/v2/stacks/{stack}?orgID={await self._org()}")

    async def rename_stack(self, stack: str, name: str) -> None:
        """Give a stack another name."""
        await self._call("PATCH", f"/api/v2/stacks/{stack}", {"name": name})

    async def set_retention(self, bucket: str, seconds: int, shards: int) -> None:
        """Set a bucket's retention (s, 0 for ever) and the length of its future shards (s)."""
        rule = {"type": "expire", "everySeconds": seconds, "shardGroupDurationSeconds": shards}
        await self._call("PATCH", f"/api/v2/buckets/{bucket}", {"retentionRules": [rule]})

    async def remove(self, kind: str, number: str) -> None:
        """Delete a resource, if it still exists."""
        path = _PATHS[kind].format(number).partition("?")[0]
        await self._call("DELETE", f"/api/v2/{path}", absent={})

    async def note_applied(self, stack: str, applied: Mapping[str, str]) -> None:
        """Store digests of what was applied in the stack's description, to detect later changes by hand."""
        text = json.dumps(applied, separators=(",", ":"), sort_keys=True)
        await self._call("PATCH", f"/api/v2/stacks/{stack}", {"description": _DESCRIPTION + _APPLIED + text})

    async def dry_run(self, documents: Sequence[Document]) -> DryRun:
        """Have the server validate documents and find existing resources of the same names."""
        answer = await self._post("", documents, dry_run=True)
        named = {
            (resource_kind(item["kind"]), item["templateMetaName"]): f"{item['id']:016x}"
            for items in answer["diff"].values()
            for item in items or ()
            if isinstance(item, dict) and item.get("id") and "templateMetaName" in item
        }
        wanted = {
            (resource_kind(item["kind"]), item["templateMetaName"]): item
            for items in answer["summary"].values()
            if isinstance(items, list)
            for item in items
            if "kind" in item and "templateMetaName" in item
        }
        return DryRun(wanted, named)

    async def apply(self, stack: str, documents: Sequence[Document]) -> None:
        """Make the stack's resources match the documents; resources in no document are deleted."""
        await self._post(stack, documents, dry_run=False)

    async def _post(self, stack: str, documents: Sequence[Document], *, dry_run: bool) -> dict[str, Any]:
        body = {"dryRun": dry_run, "orgID": await self._org(), "template": {"contents": list(documents)}}
        return await self._call(
            "POST", "/api/v2/templates/apply", body | ({"stackID": stack} if stack else {})
        )

    async def resource(self, kind: str, number: str) -> dict[str, Any] | None:
        """Return a resource as it is stored; None if it no longer exists."""
        path = next((path for name, path in _PATHS.items() if kind.startswith(name)), None)
        if path is None:
            raise BadInput(
                f"the stack '{STACK}' contains a {printable(kind)}, a kind this program does not know: remove it"
            )
        found = await self._call("GET", f"/api/v2/{path.format(number)}", absent={})
        return (found.get("label") if kind == "Label" else found) or None

    async def dashboards(self) -> dict[str, dict[str, Any]]:
        """Return all dashboards of the organisation with their cells, by id."""
        found: dict[str, dict[str, Any]] = {}
        while True:
            query = f"orgID={await self._org()}&limit={_PAGE}&offset={len(found)}"
            page = (await self._call("GET", f"/api/v2/dashboards?{query}")).get("dashboards") or ()
            for one in page:
                found[one["id"]] = await self.resource("Dashboard", one["id"]) or one
            if len(page) < _PAGE:
                return found

    async def _org(self) -> str:
        if not self._org_id:
            answer = await self._call("GET", f"/api/v2/orgs?{urlencode({'org': self._target.org})}")
            if not answer.get("orgs"):
                raise BadInput(
                    f"InfluxDB at {self._target.url}: the token does not see the organisation '{self._target.org}';"
                    f" {_RIGHTS}"
                )
            self._org_id = answer["orgs"][0]["id"]
        return self._org_id

    async def _call(
        self,
        method: str,
        path: str,
        body: object = None,
        absent: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Send one request, JSON in and out; return `absent`, if given, for 404."""
        packed = b"" if body is None else json.dumps(body).encode()
        try:
            answer = await self._client.request(method, path, {}, packed, most=_MOST_TEXT)
        except NoAnswer as failure:
            raise self._silent(why_no_answer(failure)) from failure
        text = text_of(answer, _MOST_TEXT)
        if answer.status == _NOT_FOUND and absent is not None:
            return absent
        if answer.status >= _FAILED:
            raise _refusal(self._target, answer.status, _message(answer, text))
        if not answer.whole:
            raise self._silent("the answer was cut off")
        try:
            return {} if answer.status == _NO_CONTENT else _object(text or "")
        except ValueError as error:
            raise CannotReach(f"the server at {self._target.url} is not InfluxDB 2") from error

    def _silent(self, why: str) -> CannotReach:
        return CannotReach(f"InfluxDB at {self._target.url} does not answer: {why}")


_TAKEN: Final = ("already exists", "is not unique", "already been applied", "conflict")
"""Parts of messages about a name that was taken between the dry run and the apply."""
_RIGHTS: Final = "use an all-access token, or one that may read and write everything in that organisation"


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - as json.loads raises for other text
    return found


def _stack(raw: Mapping[str, Any]) -> Stack:
    resources = {
        (resource_kind(one["kind"]), one["templateMetaName"]): one["resourceID"]
        for one in raw["resources"] or ()
    }
    applied = _applied(raw.get("description") or "")
    return Stack(raw["id"], resources, applied, str(raw.get("createdAt") or ""))


def _instant(text: str) -> tuple[str, str]:
    """Split a time for sorting: the server omits trailing zeros of the fraction, so whole texts do not sort."""
    second, _, fraction = text.removesuffix("Z").partition(".")
    return second, fraction


def _applied(description: str) -> dict[str, str]:
    """Return the digests in a stack's description; none if a user has replaced it."""
    try:
        return _object(description.partition(_APPLIED)[2])
    except ValueError:
        return {}


def _refusal(target: Target, status: int, message: str) -> BadInput | CannotReach:
    shown = printable(message, 500)
    where = f"InfluxDB at {target.url}"
    if status in {_UNAUTHORIZED, _FORBIDDEN} or "unauthorized" in shown:
        return BadInput(f"{where}: the token may not manage '{target.org}' ({status}: {shown}); {_RIGHTS}")
    if any(word in shown for word in _TAKEN):
        return BadInput(
            f"{where}: a resource of that name was created meanwhile ({status}: {shown}); another apply may be running:"
            " run this one again after it"
        )
    if status >= _SERVER_FAILED:
        return CannotReach(f"{where} failed ({status}: {shown})")
    advice = "; check influx.org" if status == _NOT_FOUND and "organization" in shown else ""
    return BadInput(f"{where} rejects this ({status}: {shown}){advice}")


def _message(answer: Response, text: str | None) -> str:
    """Return what the server says is wrong; `text` is that of the answer."""
    try:
        told = _object(text or "")
    except ValueError:
        return in_short(answer, text)[:200]
    errors = told.get("errors")
    faults = [one for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []
    if faults:
        return "; ".join(f"{one.get('kind')} {one.get('fields')}: {one.get('reason')}" for one in faults)
    return str(told.get("message") or told)


@asynccontextmanager
async def connected(target: Target) -> AsyncIterator[Server]:
    """Open a session with the server while the block runs."""
    fields = {"Authorization": f"Token {target.token}", "Content-Type": "application/json"}
    with closing(HttpClient(target.url, fields, timeout=TIMEOUT)) as client:
        yield Server(client, target)
