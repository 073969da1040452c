"""The rule files, watched: a change is taken once it is still, and only when it is whole and right.

A file written in pieces, renamed over, symlinked or briefly missing is one change: it is read when two looks in a row
saw the same names, sizes and times.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge_gateway.rules.load import RuleSet, load_rules
from edge_gateway.status import Counters, Problems
from fleet_config.problems import ProblemsFound

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5
MOST_SHOWN = 5

Fingerprint = tuple[tuple[str, int, int, int], ...]


@dataclass(slots=True)
class RulesWatch:
    """Loads the rule set of `path` whenever it changed; `take` gets each one that is right."""

    path: Path
    take: Callable[[RuleSet], None]
    counters: Counters
    problems: Problems
    on_change: Literal["keep", "reset"] = "keep"
    on_disk: str = ""
    _tried: Fingerprint | None = None
    _seen: Fingerprint | None = field(default=None)

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await self.look()

    async def look(self) -> None:
        """Load the rules if they changed and have been still since the last look."""
        now = await asyncio.to_thread(fingerprint, self.path)
        still, self._seen = now == self._seen, now
        if still and now != self._tried:
            with suppress(ProblemsFound):  # told by `load` already
                await self.load()

    async def load(self) -> str:
        """Load the rules now. Returns what to tell an operator; raises ProblemsFound, with the old rules kept."""
        self._seen = self._tried = await asyncio.to_thread(fingerprint, self.path)
        try:
            rules = await asyncio.to_thread(load_rules, self.path, on_change=self.on_change)
        except ProblemsFound as found:
            self.counters.add("rule_reloads_refused")
            self.problems.raise_("rules", "the rules in force are kept: " + in_words(found))
            raise
        self.problems.clear("rules")
        self.on_disk = rules.hash
        self.take(rules)
        return f"{len(rules.rules)} rules, {rules.hash}"


def fingerprint(path: Path) -> Fingerprint:
    """(name, inode, size, time) of every rule file, or nothing where there is none."""
    try:
        files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        stats = [(file.name, file.stat()) for file in files if not file.name.startswith(".")]
    except OSError:
        return ()
    return tuple((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def in_words(found: ProblemsFound) -> str:
    """The first few problems, and how many more there are."""
    shown = [str(problem) for problem in found.problems[:MOST_SHOWN]]
    more = len(found.problems) - len(shown)
    return "\n".join([*shown, f"and {more} more"] if more else shown)
