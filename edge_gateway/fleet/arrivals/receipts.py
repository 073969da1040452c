"""When a device is told what is stored, and what is missing.

The decision is taken over columns of all devices at once; only devices that are due cost Python.
"""

from typing import Any, NamedTuple

import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.columns.growing import with_room
from edge_gateway.fleet.arrivals.boot_mark import NEW
from edge_gateway.fleet.arrivals.sequences import NO_BOOT, Sequences, Verdicts

AFTER_MESSAGES = 64
"""New messages of a device after which it is told."""
LONGEST_WAIT = 600_000
"""Milliseconds after which it is told of fewer."""
SHORTEST_WAIT = 5_000
"""Milliseconds between two receipts of a device."""
_NEVER = -(2**62)
_FILLS = {
    "boot": NO_BOOT,
    "fresh": 0,
    "opened": 0,
    "sent_at": _NEVER,
    "patience": 0,
    "born": 0,
    "turn": 0,
}


class Due(NamedTuple):
    """A receipt: everything of `boot` up to `upto` is stored or lies in `missing` (both ends in)."""

    device: int
    boot: int
    upto: int
    missing: list[tuple[int, int]]


class Receipts:
    """Who was told what, and when. Times are milliseconds of a clock that never steps, given by the caller.

    A device with holes is told again after 5 s, 10 s, 20 s … up to 10 min, since a receipt (QoS 0) may be
    lost and a device may not know receipts at all. When the holes it was told of have closed it is told that too,
    because until then it keeps everything since the first of them. Older boots with news take turns with the
    current one.
    """

    def __init__(self, sequences: Sequences) -> None:
        self._sequences = sequences
        self._size = 0
        self._now = 0
        self.any_due = False
        self._boot = np.empty(0, np.int64)
        self._fresh = np.empty(0, np.int64)
        self._opened = np.empty(0, np.int64)
        self._sent_at = np.empty(0, np.int64)
        self._patience = np.empty(0, np.int64)
        self._born = np.empty(0, np.int64)
        self._turn = np.empty(0, np.int64)
        self._owed: dict[int, list[int]] = {}

    def _make_room(self, devices: int) -> None:
        if devices <= self._size:
            return
        self._size = devices
        for name, fill in _FILLS.items():
            setattr(self, f"_{name}", with_room(getattr(self, f"_{name}"), devices, fill))

    def note(self, device: IntColumn, boot: IntColumn, verdicts: Verdicts) -> None:
        """Take in which messages of a batch were new. Call it after `Sequences.accept` of the same batch."""
        new = verdicts.verdict == NEW
        device, boot = device[new], boot[new]
        if not len(device):
            return
        self._make_room(int(device.max()) + 1)
        current = self._sequences.boot[device]
        followed, same = self._boot[device] == current, boot == current
        if not followed.all():
            for one in np.unique(device[~followed]).tolist():
                self._switch_boot(one)
        for row in np.flatnonzero(~same).tolist():
            self._owe(int(device[row]), int(boot[row]))
        np.add.at(self._fresh, device[same], np.int64(1))

    def _switch_boot(self, device: int) -> None:
        """Turn to a device's current boot; what was not told of the boot before is owed."""
        if self._sent_at[device] == _NEVER:
            self._sent_at[device] = self._now - SHORTEST_WAIT
        if self._boot[device] != NO_BOOT and self._fresh[device]:
            self._owe(device, int(self._boot[device]))
        self._boot[device] = self._sequences.boot[device]
        self._fresh[device] = 0

    def _owe(self, device: int, boot: int) -> None:
        """Note that a boot has news; what is owed to boots that are no longer kept is dropped."""
        owed = self._owed.get(device, [])
        if boot not in owed:
            kept = self._sequences.boots(device)
            if still := [one for one in (*owed, boot) if one in kept]:
                self._owed[device] = still
            else:
                self._owed.pop(device, None)

    def birth(self, device: int) -> None:
        """Take in that a device was born: it is told at once. Call it after `Sequences.birth`."""
        self._make_room(device + 1)
        if self._boot[device] != self._sequences.boot[device]:
            self._switch_boot(device)
        for boot, _, _ in self._sequences.gaps(device):
            if boot != self._boot[device]:
                self._owe(device, boot)
        self._born[device] = 1

    def due(self, now: int, most: int = 1_000) -> list[Due]:
        """Return the receipts to send at `now` (ms), the longest waiting first, at most `most`.

        They count as sent. Send them only when the messages they speak of are on disk. `looked` says whether a
        device was due at all: only then did anything change here.
        """
        waited = now - self._sent_at[: self._size]
        due = self._is_urgent()
        due |= (self._fresh[: self._size] > 0) & (waited >= LONGEST_WAIT)
        holed, patience = self._sequences.holed[: self._size], self._patience[: self._size]
        due |= np.where(holed, waited >= patience, patience > 0)
        due[list(self._owed)] = True
        due &= waited >= SHORTEST_WAIT
        devices = np.flatnonzero(due)
        self.any_due = len(devices) > 0
        if not self.any_due:
            return []
        self._now = now
        devices = devices[np.argsort(self._sent_at[devices], kind="stable")][:most]
        found = [self._receipt(device) for device in devices.tolist()]
        return [receipt for receipt in found if receipt is not None]

    def _is_urgent(self) -> BoolColumn:
        size = self._size
        urgent: BoolColumn = self._opened[:size] != self._sequences.opened[:size]
        urgent |= self._fresh[:size] >= AFTER_MESSAGES
        urgent |= self._born[:size] > 0
        return urgent

    def _receipt(self, device: int) -> Due | None:
        news = (
            self._fresh[device]
            or self._born[device]
            or self._sequences.holed[device]
            or self._patience[device]
        )
        owed = self._owed.get(device)
        if owed and not (news and self._turn[device]):
            boot = owed.pop(0)
            self._turn[device] = 1
            if not owed:
                del self._owed[device]
        else:
            boot = int(self._boot[device])
            self._mark_sent(device)
        stored = self._sequences.stored(device, boot)
        if stored is None or stored[0] < 0:
            return None
        self._sent_at[device] = self._now
        return Due(device, boot, *stored)

    def _mark_sent(self, device: int) -> None:
        """Note that a device's current boot is told of."""
        opened = self._sequences.opened[device]
        again = self._opened[device] == opened
        longer = (
            max(SHORTEST_WAIT, min(2 * int(self._patience[device]), LONGEST_WAIT)) if again else SHORTEST_WAIT
        )
        self._patience[device] = longer if self._sequences.holed[device] else 0
        self._opened[device] = opened
        self._fresh[device] = self._born[device] = self._turn[device] = 0

    def final(self, devices: IntColumn) -> list[Due]:
        """Return what is stored of each boot of devices that another gateway hears from now on.

        They let go of it, so that the other does not ask for what is counted here.
        """
        boots = [(device, boot) for device in devices.tolist() for boot in self._sequences.boots(device)]
        stored = [(device, boot, self._sequences.stored(device, boot)) for device, boot in boots]
        return [Due(device, boot, *told) for device, boot, told in stored if told and told[0] >= 0]

    def forget(self, devices: IntColumn) -> None:
        """Drop what is owed to retired devices. `Sequences.forget` must follow."""
        known = devices[devices < self._size]
        for name, fill in _FILLS.items():
            getattr(self, f"_{name}")[known] = fill
        for device in known.tolist():
            self._owed.pop(device, None)

    def snapshot(self) -> dict[str, Any]:
        columns = {name: getattr(self, f"_{name}")[: self._size].copy() for name in _FILLS}
        owed = [[device, *boots] for device, boots in sorted(self._owed.items())]
        return {**columns, "now": self._now, "owed": owed}

    def restore(self, state: dict[str, Any]) -> None:
        for name in _FILLS:
            setattr(self, f"_{name}", state[name].copy())
        self._size, self._now = len(self._boot), state["now"]
        self._owed = {device: list(boots) for device, *boots in state["owed"]}
