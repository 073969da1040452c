"""Problems of single devices as the status tells them: one of each kind, by name, and steady enough to be read.

What is said of a device stays the same for a while, whatever its newest message adds, and of some kinds a device stays
named for as long after it was found last: each change would be a line in the log, each end and beginning an alert.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from edge_gateway.status.device_problems import KINDS, Kind, Trouble
from edge_gateway.status.problems import MOST_NAMED

if TYPE_CHECKING:
    from edge_gateway.fold.pipeline import Pipeline

HOLD: Final = 300_000
"""Milliseconds for which a text stays, and a device whose trouble comes and goes."""


class _Said(NamedTuple):
    """What is said of a device since then, and when it was found last; in ms."""

    trouble: Trouble
    since: int
    found: int

    def again(self, trouble: Trouble, now: int) -> _Said:
        """The same device was found again: after a while what is new is said of it."""
        return self._replace(found=now) if now - self.since < HOLD else _Said(trouble, now, now)


@dataclass(slots=True)
class DeviceWatch:
    """What is said of devices now; `clock` in ms, monotonic."""

    clock: Callable[[], int]
    _said: dict[str, dict[tuple[str, str], _Said]] = field(default_factory=dict)

    def look(self, pipeline: Pipeline) -> Iterator[tuple[str, str]]:
        """Yield (code, text) of every kind; the text is empty where there is nothing wrong."""
        for kind in KINDS:
            said = self._steady(kind, kind.found(pipeline))
            yield kind.code, _text(kind, said) if said else ""

    def _steady(self, kind: Kind, troubles: Iterable[Trouble]) -> list[Trouble]:
        """What is to be said of devices, of those first that it is said of longest."""
        now, said = self.clock(), dict[tuple[str, str], _Said]()
        found = {(one.site, one.device): one for one in troubles}
        for key, before in self._said.get(kind.code, {}).items():
            if key in found:
                said[key] = before.again(found.pop(key), now)
            elif kind.lingers and now - before.found < HOLD:
                said[key] = before
        said |= {key: _Said(one, now, now) for key, one in found.items()}
        self._said[kind.code] = said
        return [one.trouble for one in said.values()]


def _text(kind: Kind, found: Sequence[Trouble]) -> str:
    named = [f"{one.site}/{one.device}: {one.why}" for one in found[:MOST_NAMED]]
    more = [f"and {len(found) - MOST_NAMED} more"] if len(found) > MOST_NAMED else []
    who = kind.who if len(found) == 1 else f"{kind.who}s"
    return f"{kind.what} ({len(found)} {who}): {'; '.join([*named, *more])}"
