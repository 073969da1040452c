"""Turn each device check into one problem, with a text that is steady enough to read.

Every change of a text is a line in the log, every end and beginning an alert. So the text about a device stays the same
for a while, whatever its newest message adds. In checks of troubles that come and go, a device stays named for as long
after it was found last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from edge_gateway.status.catalogue import Problem
from edge_gateway.status.device_checks import CHECKS, DeviceCheck, DeviceTrouble
from edge_gateway.status.problems import MOST_NAMED

if TYPE_CHECKING:
    from edge_gateway.fold.pipeline import Pipeline

HOLD: Final = 300_000
"""Milliseconds for which a text stays, and a device whose trouble comes and goes."""


class _Shown(NamedTuple):
    """What is shown of a device, since when, and when it was found last; in ms."""

    trouble: DeviceTrouble
    since: int
    found: int

    def again(self, trouble: DeviceTrouble, now: int) -> _Shown:
        """Return what to show when the device is found again: the newest trouble only after a while."""
        return self._replace(found=now) if now - self.since < HOLD else _Shown(trouble, now, now)


@dataclass(slots=True)
class DeviceProblems:
    """The problems of devices, over time. `clock` in ms, monotonic."""

    clock: Callable[[], int]
    _shown: dict[Problem, dict[tuple[str, str], _Shown]] = field(default_factory=dict)

    def check(self, pipeline: Pipeline) -> Iterator[tuple[Problem, str]]:
        """Yield every problem with its text, which is empty where nothing is wrong."""
        for check in CHECKS:
            troubles = self._steady(check, check.find(pipeline))
            yield check.problem, _text(check, troubles) if troubles else ""

    def _steady(self, check: DeviceCheck, troubles: Iterable[DeviceTrouble]) -> list[DeviceTrouble]:
        """Return the troubles to show, those shown longest first."""
        now, shown = self.clock(), dict[tuple[str, str], _Shown]()
        found = dict[tuple[str, str], DeviceTrouble]()
        for one in troubles:
            found.setdefault((one.site, one.device), one)
        for key, before in self._shown.get(check.problem, {}).items():
            if key in found:
                shown[key] = before.again(found.pop(key), now)
            elif check.lingers and now - before.found < HOLD:
                shown[key] = before
        shown |= {key: _Shown(one, now, now) for key, one in found.items()}
        self._shown[check.problem] = shown
        return [one.trouble for one in shown.values()]


def _text(check: DeviceCheck, found: Sequence[DeviceTrouble]) -> str:
    named = [f"{one.site}/{one.device}: {one.why}" for one in found[:MOST_NAMED]]
    more = [f"and {len(found) - MOST_NAMED} more"] if len(found) > MOST_NAMED else []
    who = check.who if len(found) == 1 else f"{check.who}s"
    return f"{check.what} ({len(found)} {who}): {'; '.join([*named, *more])}"
