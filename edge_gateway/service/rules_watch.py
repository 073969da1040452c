"""Watch the rule files and load a valid change once the files are stable.

They are stable when two polls in a row see the same names, sizes and times, so that a file written in pieces, renamed
over, symlinked or briefly missing is one change.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from edge_gateway.configuration.model import GatewayConfig, RulesSection
from edge_gateway.configuration.rules_folder import no_folder, read_rules
from edge_gateway.rules.files.load import RuleSet, files_hash, rule_files
from edge_gateway.rules.language.zones import Zones
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems
from fleet_config.counting import counted
from fleet_config.problems import ProblemsFound, first_of

log = logging.getLogger("edge_gateway.rules_watch")

POLL_EVERY = 0.5
MOST_SHOWN = 5

_OF_PROCESS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors of the process, which say nothing about the directory."""

Fingerprint = tuple[tuple[str, int, int, int], ...]


@dataclass(slots=True)
class RulesWatch:
    """Loads the configured rules whenever their files change; calls `take` with each valid set.

    `in_force`: whether there are rules now, which must not end because their folder is gone or empty. `on_disk`: the
    hash of the rules last loaded; while the files are refused, that of the files. `inventory`: the file of expected
    devices, None without one; it is loaded with the rules, and its errors are theirs.
    """

    section: RulesSection
    zones: Zones
    in_force: Callable[[], bool]
    take: Callable[[RuleSet], None]
    counters: Counters
    problems: Problems
    inventory: Path | None = None
    on_disk: str = ""
    _tried: Fingerprint | None = None
    _seen: Fingerprint | None = field(default=None)

    @classmethod
    def of(
        cls,
        config: GatewayConfig,
        in_force: Callable[[], bool],
        take: Callable[[RuleSet], None],
        counters: Counters,
        problems: Problems,
    ) -> RulesWatch:
        """The watch of what a configuration names."""
        zones, inventory = config.gateway.time_zones, config.inventory
        return cls(config.rules, zones, in_force, take, counters, problems, inventory=inventory)

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(POLL_EVERY)
            await self.poll()

    async def poll(self) -> None:
        """Load the rules if they changed and are the same as at the last poll."""
        now = await asyncio.to_thread(self._fingerprint)
        still, self._seen = now == self._seen, now
        if still and now != self._tried:
            with suppress(ProblemsFound):  # reported by `load`
                await self.load()

    async def load(self) -> str:
        """Load the rules now and return a summary. Raises ProblemsFound and keeps the old rules if they are invalid."""
        try:
            return await self._load()
        except ProblemsFound as found:
            path = self.section.path
            self.on_disk = "" if path is None else await asyncio.to_thread(files_hash, path)
            self.counters.rule_reloads_refused += 1
            self.problems.raise_(Problem.RULES, in_words(found))
            raise

    async def begin(self) -> None:
        """Load the rules at a start. ProblemsFound only if they are invalid and none are in force, to be kept."""
        if not self.in_force():
            await self._load()
            if said := no_folder(self.section):
                log.info("%s", said)
            return
        try:
            await self.load()
        except ProblemsFound:
            log.warning("the rule files are invalid; the rules last in force stay in force")

    async def _load(self) -> str:
        self._seen = self._tried = await asyncio.to_thread(self._fingerprint)
        rules = await asyncio.to_thread(
            read_rules, self.section, self.zones, inventory=self.inventory, required=self.in_force()
        )
        self.problems.clear(Problem.RULES)
        begun = time.thread_time()
        self.on_disk = rules.hash
        self.take(rules)
        said = f"{counted(len(rules.rules), 'rule')}, {rules.hash}"
        log.info("rules read: %s; taken in %.1f ms", said, 1000 * (time.thread_time() - begun))
        return said

    def _fingerprint(self) -> Fingerprint:
        """That of the rule files and of the inventory."""
        file = self.inventory
        return (
            *fingerprint(self.section.path),
            *(() if file is None else [(str(file), *_identity(file))]),
        )


def fingerprint(path: Path | None) -> Fingerprint:
    """Return (name, inode, size, mtime in ns) of every rule file; zeros for a file that cannot be examined.

    Of a directory without any, that of the directory. Empty if it is missing, unreadable or null. OSError if the
    process itself lacks resources, such as a free file descriptor.
    """
    if path is None:
        return ()
    try:
        files = rule_files(path)
    except ProblemsFound as found:
        if isinstance(found.__cause__, OSError) and found.__cause__.errno in _OF_PROCESS:
            raise found.__cause__ from found
        return ()
    return tuple((file.name, *_identity(file)) for file in files or [path])


def _identity(file: Path) -> tuple[int, int, int]:
    try:
        found = file.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def in_words(found: ProblemsFound) -> str:
    """Join the first few problems, and say how many more there are."""
    return first_of(found.problems, MOST_SHOWN)
