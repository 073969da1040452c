"""Versions of a device's identity (type and forwarded tags), each valid from one window start on."""

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from edge_gateway.columns.frame import IntColumn
from edge_gateway.columns.growing import with_room

UNKNOWN_TYPE = "unknown"
ALWAYS = -(2**63)
"""Start of a device's first version: it applies to windows of any age."""
NO_VERSION = -1
CHANGES_KEPT = 64
"""Versions kept per device; a window older than all of them gets the oldest one kept."""
CHANGE_EVERY = 3_600_000
"""Milliseconds of the listening clock after which a device that used up its changes may make another one.

Each change creates new series, here and in the database. Until then its windows keep their labels.
"""


Tags = tuple[tuple[str, str], ...]


class Identity(NamedTuple):
    """The labels of a device's points."""

    site: str
    device: str
    type: str
    tags: Mapping[str, str]


class TagVersions:
    """Which identity labels a device's windows. Version numbers are never reused."""

    def __init__(self) -> None:
        self._identities: dict[int, Identity] = {}
        self._tags: dict[Tags, Mapping[str, str]] = {}
        """Equal tags are shared between devices."""
        self.given = 0
        """How many version numbers were ever given."""
        self._current = np.empty(0, np.int64)
        """The newest version of each device; NO_VERSION if it has none."""
        self._since = np.empty(0, np.int64)
        self._older: dict[int, list[tuple[int, int]]] = {}
        """Earlier versions of devices that changed, as (start, version) in order."""
        self._used_up = np.empty(0, np.int64)
        """When each device will have regained all its changes, ms of the listening clock: a leaky bucket."""
        self._devices = 0
        self.forgotten = 0
        self.refused = 0
        """Changes that were ignored because they came too often."""

    def begin(self, device: int, identity: Identity) -> None:
        """Start the history of a new device, dropping that of the device that had the number before."""
        self._devices = max(self._devices, device + 1)
        self._current = with_room(self._current, self._devices, NO_VERSION)
        self._since = with_room(self._since, self._devices, 0)
        self._used_up = with_room(self._used_up, self._devices, 0)
        self._used_up[device] = 0
        for _, version in self._history(device):
            del self._identities[version]
        self._older.pop(device, None)
        self._put(device, ALWAYS, identity)

    def change(self, device: int, identity: Identity, start: int, now: int) -> None:
        """Label windows that start at `start` or later with `identity`; `now` is the listening clock, ms.

        Versions that start at `start` or later have labelled no window yet, and are replaced.
        """
        if not self._may_change(device, now):
            self.refused += 1
            return
        history = self._history(device)
        while history and history[-1][0] >= start:
            del self._identities[history.pop()[1]]
        if len(history) == CHANGES_KEPT:
            del self._identities[history.pop(0)[1]]
            self.forgotten += 1
        self._older.pop(device, None)
        if history:
            self._older[device] = history
        self._put(device, start if history else ALWAYS, identity)

    def _may_change(self, device: int, now: int) -> bool:
        used_up = max(int(self._used_up[device]), now) + CHANGE_EVERY
        if used_up > now + CHANGES_KEPT * CHANGE_EVERY:
            return False
        self._used_up[device] = used_up
        return True

    def rename(self, device: int, identity: Identity) -> None:
        """Change what a device's newest version stands for: the configuration forwards other tags now."""
        self._identities[int(self._current[device])] = self._shared(identity)

    def renumber(self, device: int) -> None:
        """Give every version of a device a new number: its series numbers may be reused from now on."""
        history = [(start, self._identities.pop(version)) for start, version in self._history(device)]
        self._older.pop(device, None)
        for place, (start, identity) in enumerate(history):
            self._put(device, start, identity)
            if place < len(history) - 1:
                self._older.setdefault(device, []).append((start, int(self._current[device])))

    def _put(self, device: int, start: int, identity: Identity) -> None:
        version, self.given = self.given, self.given + 1
        self._identities[version] = self._shared(identity)
        self._current[device], self._since[device] = version, start

    def _shared(self, identity: Identity) -> Identity:
        if len(self._tags) > 2 * len(self._identities) + 64:
            self._tags = {tuple(one.tags.items()): one.tags for one in self._identities.values()}
        return identity._replace(tags=self._tags.setdefault(tuple(identity.tags.items()), identity.tags))

    def _history(self, device: int) -> list[tuple[int, int]]:
        """Return all versions of a device as (start, version), in order."""
        current = int(self._current[device])
        newest = [] if current == NO_VERSION else [(int(self._since[device]), current)]
        return [*self._older.get(device, ()), *newest]

    def identity(self, version: int) -> Identity:
        return self._identities[version]

    def newest(self, device: int) -> Identity:
        return self._identities[int(self._current[device])]

    def version(self, device: int, start: int) -> int:
        """Return the version that labels a window of `device` starting at `start` (ms)."""
        history = self._history(device)
        return history[max(bisect_right(history, start, key=lambda entry: entry[0]) - 1, 0)][1]

    def versions(self, device: IntColumn, start: IntColumn) -> IntColumn:
        """Return `version` for columns of devices and window starts."""
        found = self._current[device]
        for row in np.flatnonzero(start < self._since[device]).tolist():
            found[row] = self.version(int(device[row]), int(start[row]))
        return found

    def snapshot(self) -> dict[str, Any]:
        return {
            "given": self.given,
            "forgotten": self.forgotten,
            "refused": self.refused,
            "used_up": self._used_up[: self._devices].copy(),
            **self._columns(),
        }

    def _columns(self) -> dict[str, Any]:
        """Return all versions with their device, start and identity, as columns."""
        older = [(device, *entry) for device, entries in self._older.items() for entry in entries]
        current = self._current[: self._devices]
        devices = np.flatnonzero(current != NO_VERSION)
        newest = np.column_stack([devices, self._since[devices], current[devices]])
        table = np.concatenate([np.array(older, np.int64).reshape(-1, 3), newest])
        table = table[
            np.argsort(table[:, 0], kind="stable")
        ]  # a device's versions stay in order, the newest last
        known = [self._identities[version] for version in table[:, 2].tolist()]
        return {
            "versions": table,
            "site": [one.site for one in known],
            "name": [one.device for one in known],
            "type": [one.type for one in known],
            "tags": [one.tags for one in known],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.given, self.forgotten, self.refused = state["given"], state["forgotten"], state["refused"]
        self._used_up = state["used_up"].copy()
        self._identities, self._tags, self._older = {}, {}, {}
        device, start, version = (column.copy() for column in state["versions"].T)
        names = zip(state["site"], state["name"], state["type"], state["tags"], strict=True)
        for number, facts in zip(version.tolist(), names, strict=True):
            self._identities[number] = self._shared(Identity(*facts))
        newest = np.ones(len(device), np.bool_)
        newest[:-1] = device[1:] != device[:-1]
        self._current, self._since, self._devices = version[newest], start[newest], int(newest.sum())
        for row in np.flatnonzero(~newest).tolist():
            self._older.setdefault(int(device[row]), []).append((int(start[row]), int(version[row])))
