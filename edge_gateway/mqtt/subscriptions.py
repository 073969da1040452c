"""What this gateway is subscribed to at the broker, whose session outlives a configuration.

wanted ─▶ reconcile: subscribe, then unsubscribe what an earlier configuration left ◀─ the spool's list of filters
                 │                                     ▲
                 └─▶ refused: told, asked for again    └── a delivery of a foreign site: the filters it may come by
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from edge_gateway.journal.files import FILES, Files, write_whole
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.problems import Problems, named
from fleet_wire import topics
from fleet_wire.errors import ConnectionLost, ConnectRefused
from fleet_wire.printable import printable
from fleet_wire.subscriptions import NotGranted, why_not_granted

log = logging.getLogger(__name__)

ASK_AGAIN = 60.0
"""Seconds until the broker is asked again for a filter it refused."""
SHOWN_FOR = 3_600_000
"""Milliseconds after the last delivery of a foreign site until the problem is over."""
MOST_SITES = 1_000
"""Foreign sites that are told and whose filters are removed; deliveries of more are quarantined all the same."""
LONGEST_LIST = 1 << 20


class Subscribes(Protocol):
    """The session, as far as subscriptions go."""

    async def subscribe(self, filters: Sequence[str], *, session_present: bool) -> None: ...
    async def unsubscribe(self, filters: Sequence[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class FilterList:
    """The spool's list of filters that the broker may have of this client id."""

    path: Path
    client_id: str
    files: Files = FILES

    def read(self) -> frozenset[str] | None:
        """What is on the list; None where nobody knows, because it is missing, damaged or of another client id."""
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
                "the broker may hold a session of %s until it expires, with what was queued for it", other
            )
            return None
        return filters

    def write(self, filters: Iterable[str]) -> None:
        """Put these on the list. A disk that refuses is no reason not to subscribe: strays are found without it."""
        held = {"client_id": self.client_id, "filters": sorted(filters)}
        try:
            write_whole(self.files, self.path, json.dumps(held).encode())
        except OSError as error:
            log.warning("the list of subscriptions cannot be written: %s", error)


def _is_filter(text: str) -> bool:
    """Whether a filter is of the kind that a gateway makes; a damaged list must not be sent to the broker."""
    return all(level == topics.ANY or topics.is_level(level) for level in text.split("/"))


def obsolete_filters(held: frozenset[str] | None, wanted: Iterable[str]) -> list[str]:
    """Return filters of an earlier configuration; where nobody knows it, those of a gateway of every site."""
    return sorted(
        (frozenset(topics.device_filters([topics.ANY])) if held is None else held).difference(wanted)
    )


def may_match(topic: str) -> list[str]:
    """Return the filters by which a gateway may have asked for a device's topic."""
    site, kind = topics.site_of(topic) or "", topic.rpartition("/")[2]
    own = topics.device_filters([site]) if topics.is_level(site) else []
    return [text for text in (*own, *topics.device_filters([topics.ANY])) if text.endswith(f"/{kind}")]


@dataclass(slots=True)
class Subscriptions:
    """The filters of one client id. Times are monotonic milliseconds."""

    wanted: Sequence[str]
    held: FilterList
    problems: Problems
    clock: Callable[[], int]
    _births_wanted: bool = False
    _refused: dict[str, int] = field(default_factory=dict)
    _foreign_sites: set[str] = field(default_factory=set)
    _foreign_at: int = 0
    _unwanted: set[str] = field(default_factory=set)
    _removed: set[str] = field(default_factory=set)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def receives_telemetry(self) -> bool:
        """Whether telemetry of a site at least comes, as far as the broker granted it."""
        return any(text not in self._refused for text in self.wanted if text.endswith(topics.TELEMETRY))

    async def reconcile(self, session: Subscribes, *, session_present: bool, knows_births: bool) -> None:
        """Make the broker's subscriptions those that are wanted: new ones first, so that nothing falls between."""
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
        """Look after the subscriptions of this connection until it ends."""
        with suppress(ConnectionLost):
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(ASK_AGAIN):
                        await self._news.wait()
                self._news.clear()
                unwanted, self._unwanted = sorted(self._unwanted), set()
                await self._maintain(session, unwanted)
                if self._foreign_sites and self.clock() - self._foreign_at > SHOWN_FOR:
                    self._foreign_sites.clear()
                    self.problems.clear(Problem.FOREIGN_SITE)

    def request_births(self) -> None:
        """Ask the broker, within a minute and once for all, for the births that it retains."""
        self._births_wanted = True

    async def _ask_for_births(self, session: Subscribes) -> None:
        self._births_wanted = False
        statuses = [text for text in self.wanted if text.endswith(topics.STATUS)]
        with suppress(NotGranted):  # told where it was asked for first
            await session.subscribe(statuses, session_present=False)

    async def _maintain(self, session: Subscribes, unwanted: Sequence[str]) -> None:
        try:
            if unwanted:
                await self._unsubscribe(session, unwanted)
            elif self._refused:
                await self._subscribe(session, list(self._refused), session_present=True)
            elif self._births_wanted:
                await self._ask_for_births(session)
        except ConnectRefused as answer:  # an answer to something else
            self.problems.raise_(Problem.SUBSCRIPTION, f"the broker answers subscriptions wrongly: {answer}")

    def foreign_deliveries(self, deliveries: Iterable[str]) -> None:
        """Take in topics of deliveries of foreign sites: they are told, and their filters are removed."""
        self._foreign_at = self.clock()
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
        """Ask for filters; what the broker refuses is a problem, and no reason to do without the others."""
        try:
            await session.subscribe(filters, session_present=session_present)
        except NotGranted as answer:
            self._refused = answer.codes
            self.problems.raise_(Problem.SUBSCRIPTION, _refused_text(answer.codes))
        else:
            self._refused = {}
            self.problems.clear(Problem.SUBSCRIPTION)

    async def _unsubscribe(self, session: Subscribes, filters: Sequence[str]) -> bool:
        """Remove filters; False where the broker keeps one: its deliveries go to the quarantine."""
        removed = named(filters)
        try:
            await session.unsubscribe(filters)
        except ConnectRefused as answer:
            log.warning("the broker keeps subscriptions that this gateway does not want: %s", answer)
            return False
        log.info("subscriptions that this configuration has no use for were removed: %s", removed)
        return True


def _refused_text(refused: dict[str, int]) -> str:
    filters = named([f"{text} ({why_not_granted(code)})" for text, code in refused.items()])
    return f"the broker does not grant subscriptions, and nothing comes by them: {filters}; check the ACL"
