"""Versions of a device's type and tags, each in force from one window start on."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from edge_gateway.fleet.columns import with_room
from edge_gateway.frame import IntColumn

UNKNOWN_TYPE = "unknown"
ALWAYS = -(2**63)
"""Start of a device's first version: it holds for windows however old."""
CHANGES_KEPT = 64
"""Changes remembered a device; a correction older than all of them takes the oldest one kept."""


class Identity(NamedTuple):
    """What a point is labelled with."""

    site: str
    device: str
    type: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _History:
    starts: list[int]
    versions: list[int]


class TagVersions:
    """Which identity a device's windows carry. Versions are numbers that are never given twice."""

    def __init__(self) -> None:
        self._identities: dict[int, Identity] = {}
        self._histories: list[_History] = []
        self._given = 0
        self._current = np.empty(0, np.int64)
        self._since = np.empty(0, np.int64)
        self.forgotten = 0

    def add(self, identity: Identity) -> None:
        """Begin the history of the next device."""
        device = len(self._histories)
        self._histories.append(_History([], []))
        self._current = with_room(self._current, device + 1, 0)
        self._since = with_room(self._since, device + 1, 0)
        self._append(device, ALWAYS, identity)

    def change(self, device: int, identity: Identity, start: int) -> None:
        """Put `identity` in force for windows that start at `start` or later.

        Versions that would have begun at `start` or later have labelled no window, and give way.
        """
        history = self._histories[device]
        while history.starts and history.starts[-1] >= start:
            history.starts.pop()
            del self._identities[history.versions.pop()]
        self._append(device, start if history.starts else ALWAYS, identity)
        if len(history.starts) > CHANGES_KEPT:
            history.starts.pop(0)
            del self._identities[history.versions.pop(0)]
            self.forgotten += 1

    def _append(self, device: int, start: int, identity: Identity) -> None:
        version, self._given = self._given, self._given + 1
        self._identities[version] = identity
        history = self._histories[device]
        history.starts.append(start)
        history.versions.append(version)
        self._current[device], self._since[device] = version, start

    def identity(self, version: int) -> Identity:
        return self._identities[version]

    def newest(self, device: int) -> Identity:
        return self._identities[self._histories[device].versions[-1]]

    def version(self, device: int, start: int) -> int:
        """Return the version a window of `device` that starts at `start` is labelled with."""
        history = self._histories[device]
        return history.versions[max(bisect_right(history.starts, start) - 1, 0)]

    def versions(self, device: IntColumn, start: IntColumn) -> IntColumn:
        """Return `version` for whole columns of devices and window starts."""
        found = self._current[device]
        for row in np.flatnonzero(start < self._since[device]).tolist():
            found[row] = self.version(int(device[row]), int(start[row]))
        return found

    def snapshot(self) -> dict[str, Any]:
        return {
            "given": self._given,
            "forgotten": self.forgotten,
            "histories": [
                [
                    [start, version, *_plain(self._identities[version])]
                    for start, version in zip(history.starts, history.versions, strict=True)
                ]
                for history in self._histories
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._given, self.forgotten = state["given"], state["forgotten"]
        self._histories = [
            _History([entry[0] for entry in entries], [entry[1] for entry in entries])
            for entries in state["histories"]
        ]
        self._identities = {
            version: Identity(site, device, kind, tags)
            for entries in state["histories"]
            for _, version, site, device, kind, tags in entries
        }
        self._current = np.array([history.versions[-1] for history in self._histories], np.int64)
        self._since = np.array([history.starts[-1] for history in self._histories], np.int64)


def _plain(identity: Identity) -> list[Any]:
    return [identity.site, identity.device, identity.type, dict(identity.tags)]
