"""Keep the broker's subscriptions equal to the configuration; a persistent session outlives a configuration.

wanted ─▶ reconcile: subscribe, then unsubscribe filters of an earlier configuration ◀─ the spool's list of filters
                 │                                     ▲
                 └─▶ refused: a problem, retried       └── a delivery of a foreign site: the filters that may match it
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from edge_gateway.journal.files import FILES, Files, write_whole
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.problems import Problems, named
from fleet_console.failures import in_words
from fleet_wire import topics
from fleet_wire.errors import ConnectionLost, ConnectRefused
from fleet_wire.printable import printable
from fleet_wire.subscriptions import NotGranted, why_not_granted

log = logging.getLogger("edge_gateway.subscriptions")

ASK_AGAIN = 60.0
"""Seconds between retries of refused filters."""
MOST_SITES = 1_000
"""Most foreign sites to name and unsubscribe from; deliveries of further ones are quarantined all the same."""
LONGEST_LIST = 1 << 20
"""Bytes."""


class Subscribes(Protocol):
    """The part of the session used here."""

    async def subscribe(self, filters: Sequence[str], *, session_present: bool) -> None: ...
    async def unsubscribe(self, filters: Sequence[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class FilterList:
    """A file in the spool: the filters this client id may be subscribed to."""

    path: Path
    client_id: str
    files: Files = FILES

    def read(self) -> frozenset[str] | None:
        """Return the filters; None if unknown: the file is missing, damaged or of another client id."""
        try:
            with self.path.open("rb") as file:
                held = json.loads(file.read(LONGEST_LIST))
            filters = frozenset(map(str, held["filters"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        if not all(map(_is_filter, filters)):
            return None
        if held.get("client_id") != self.client_id:
            other = printable(held.get("client_id"))
            log.warning(
                "the broker may keep the session of client %s, and messages queued for it, until it expires",
                other,
            )
            return None
        return filters

    def write(self, filters: Iterable[str]) -> None:
        """Replace the list. A failure is only logged: stray filters are also found by their deliveries."""
        held = {"client_id": self.client_id, "filters": sorted(filters)}
        try:
            write_whole(self.files, self.path, json.dumps(held).encode())
        except OSError as error:
            log.warning("cannot write the list of subscriptions: %s", in_words(error))


def _is_filter(text: str) -> bool:
    """Return whether a gateway could have made this filter; a damaged list must not reach the broker."""
    return all(level == topics.ANY or topics.is_level(level) for level in text.split("/"))


def obsolete_filters(held: frozenset[str] | None, wanted: Iterable[str]) -> list[str]:
    """Return filters of an earlier configuration; if those are unknown, the filters for all sites."""
    return sorted(
        (frozenset(topics.device_filters([topics.ANY])) if held is None else held).difference(wanted)
    )


def may_match(topic: str) -> list[str]:
    """Return the filters of a gateway that match a device's topic."""
    site, kind = topics.site_of(topic) or "", topic.rpartition("/")[2]
    own = topics.device_filters([site]) if topics.is_level(site) else []
    return [text for text in (*own, *topics.device_filters([topics.ANY])) if text.endswith(f"/{kind}")]


@dataclass(slots=True)
class Subscriptions:
    """The subscriptions of one client id."""

    wanted: Sequence[str]
    held: FilterList
    problems: Problems
    _births_wanted: bool = False
    _refused: dict[str, int] = field(default_factory=dict)
    _foreign_sites: set[str] = field(default_factory=set)
    _unwanted: set[str] = field(default_factory=set)
    _removed: set[str] = field(default_factory=set)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def receives_telemetry(self) -> bool:
        """Whether the broker granted at least one telemetry filter."""
        return any(text not in self._refused for text in self.wanted if text.endswith(topics.TELEMETRY))

    async def reconcile(self, session: Subscribes, *, session_present: bool, knows_births: bool) -> None:
        """Make the broker's subscriptions equal `wanted`: subscribe first, so that no message falls between."""
        held = await asyncio.to_thread(self.held.read)
        if not session_present:
            held = frozenset()
        both = (held or frozenset()).union(self.wanted)
        if both != held:
            await asyncio.to_thread(self.held.write, both)
        self._refused.clear()
        self._removed.clear()
        await self._subscribe(session, self.wanted, session_present=session_present)
        if session_present and not knows_births:
            await self._ask_for_births(session)
        surplus = obsolete_filters(held, self.wanted) if session_present else []
        if surplus and await self._unsubscribe(session, surplus):
            await asyncio.to_thread(self.held.write, self.wanted)

    async def maintain(self, session: Subscribes) -> None:
        """Retry, repair and clear problems until the connection ends."""
        with suppress(ConnectionLost):
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(ASK_AGAIN):
                        await self._news.wait()
                self._news.clear()
                unwanted, self._unwanted = sorted(self._unwanted), set()
                await self._maintain(session, unwanted)
                if Problem.FOREIGN_SITE not in self.problems:
                    self._foreign_sites.clear()

    def request_births(self) -> None:
        """Fetch the retained births within a minute; repeated requests are one."""
        self._births_wanted = True

    async def _ask_for_births(self, session: Subscribes) -> None:
        self._births_wanted = False
        statuses = [text for text in self.wanted if text.endswith(topics.STATUS)]
        with suppress(NotGranted):  # reported by the first subscription
            await session.subscribe(statuses, session_present=False)

    async def _maintain(self, session: Subscribes, unwanted: Sequence[str]) -> None:
        try:
            if unwanted:
                await self._unsubscribe(session, unwanted)
            elif self._refused:
                await self._subscribe(session, list(self._refused), session_present=True)
            elif self._births_wanted:
                await self._ask_for_births(session)
        except ConnectRefused as answer:  # the answer did not match the request
            self.problems.raise_(Problem.SUBSCRIPTION, f"the broker answers subscriptions wrongly: {answer}")

    def foreign_deliveries(self, deliveries: Iterable[str]) -> None:
        """Report deliveries of foreign sites, given their topics, and schedule the removal of their filters."""
        for topic in deliveries:
            site = topics.site_of(topic) or ""
            if site in self._foreign_sites or len(self._foreign_sites) < MOST_SITES:
                self._foreign_sites.add(site)
                self._unwanted.update(set(may_match(topic)).difference(self.wanted, self._removed))
        self._removed |= self._unwanted
        self.problems.raise_(Problem.FOREIGN_SITE, named(sorted(self._foreign_sites)))
        if self._unwanted:
            self._news.set()

    async def _subscribe(self, session: Subscribes, filters: Sequence[str], *, session_present: bool) -> None:
        """Subscribe; refused filters are a problem, the others stay subscribed."""
        try:
            await session.subscribe(filters, session_present=session_present)
        except NotGranted as answer:
            self._refused = answer.codes
            self.problems.raise_(Problem.SUBSCRIPTION, _refused_text(answer.codes))
        else:
            self._refused = {}
            self.problems.clear(Problem.SUBSCRIPTION)

    async def _unsubscribe(self, session: Subscribes, filters: Sequence[str]) -> bool:
        """Unsubscribe; False if the broker refuses. Deliveries by a remaining filter go to the quarantine."""
        removed = named(filters)
        try:
            await session.unsubscribe(filters)
        except ConnectRefused as answer:
            log.warning("the broker did not remove subscriptions of an earlier configuration: %s", answer)
            return False
        log.info("removed subscriptions of an earlier configuration: %s", removed)
        return True


def _refused_text(refused: dict[str, int]) -> str:
    filters = named([f"{text} ({why_not_granted(code)})" for text, code in refused.items()])
    return f"the broker refused subscriptions, and their messages do not arrive: {filters}; check the ACL"
