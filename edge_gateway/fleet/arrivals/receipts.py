"""When to send receipts, which tell devices what is stored and what is missing.

The decision is made on columns of all devices at once; only devices that are due cost Python.
"""

from typing import Any, NamedTuple

import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.columns.growing import with_room
from edge_gateway.fleet.arrivals.boot_mark import NEW, NO_BOOT, NOT_KNOWN
from edge_gateway.fleet.arrivals.marks import StoredRange
from edge_gateway.fleet.arrivals.sequences import Sequences, Verdicts

AFTER_MESSAGES = 64
"""New messages of a device after which a receipt is due."""
LONGEST_WAIT = 600_000
"""Milliseconds after which a receipt for fewer new messages is due."""
SHORTEST_WAIT = 5_000
"""Least time between two receipts of a device, ms."""
MOST_DUE = 1_000
"""Receipts sent at once."""
_NEVER = -(2**62)
_FILLS = {
    "boot": NO_BOOT,  # the boot the other columns speak of
    "fresh": 0,  # new messages since its last receipt
    "opened": 0,  # `Sequences.opened` at its last receipt: differs if a hole opened since
    "sent_at": _NEVER,  # time of the last receipt, ms
    "patience": 0,  # wait before its holes are repeated, ms; 0 if its last receipt named none
    "born": 0,  # 1 if a birth waits for an answer
    "turn": 0,  # 1 if the last receipt was for an older boot
}
"""Columns by device, with their initial values."""


class Due(NamedTuple):
    """A receipt for a boot of a device."""

    device: int
    boot: int
    stored: StoredRange


class Receipts:
    """Which receipt each device got last, and when. Times are ms of the listening clock.

    A receipt that names holes is repeated after 5 s, 10 s, 20 s … up to 10 min, since a receipt (QoS 0) may be lost,
    and the device may not understand receipts at all. Once those holes have closed another receipt says so, because
    until then the device keeps everything from the first hole on. Older boots with news alternate with the current one.
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
        """Count the messages that a device may let go of. Call it after `Sequences.accept` of the same batch.

        Those that are not known are among them: it hears from where on it is worth sending again.
        """
        new = (verdicts.verdict == NEW) | (verdicts.verdict == NOT_KNOWN)
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
        """Switch to a device's current boot; if the boot before has news, a receipt for it is owed."""
        if self._sent_at[device] == _NEVER:
            self._sent_at[device] = self._now - SHORTEST_WAIT
        if self._boot[device] != NO_BOOT and self._fresh[device]:
            self._owe(device, int(self._boot[device]))
        self._boot[device] = self._sequences.boot[device]
        self._fresh[device] = 0

    def _owe(self, device: int, boot: int) -> None:
        """Note that a receipt for an older boot is owed; drop what is owed for boots no longer kept."""
        owed = self._owed.get(device, [])
        if boot not in owed:
            kept = self._sequences.boots(device)
            if still := [one for one in (*owed, boot) if one in kept]:
                self._owed[device] = still
            else:
                self._owed.pop(device, None)

    def birth(self, device: int) -> None:
        """Make a receipt due at once, because a birth arrived. Call it after `Sequences.birth`."""
        self._make_room(device + 1)
        if self._boot[device] != self._sequences.boot[device]:
            self._switch_boot(device)
        for boot, _, _ in self._sequences.gaps(device):
            if boot != self._boot[device]:
                self._owe(device, boot)
        self._born[device] = 1

    def due(self, now: int) -> list[Due]:
        """Return the receipts to send at `now` (ms), the longest waiting first, at most MOST_DUE; they count as sent.

        Send them only once the messages they cover are on disk. Afterwards `any_due` says whether any device was due;
        if none was, nothing changed.
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
        devices = devices[np.argsort(self._sent_at[devices], kind="stable")][:MOST_DUE]
        found = [self._receipt(device) for device in devices.tolist()]
        return [receipt for receipt in found if receipt is not None]

    def _is_urgent(self) -> BoolColumn:
        size = self._size
        urgent: BoolColumn = self._opened[:size] != self._sequences.opened[:size]
        urgent |= self._fresh[:size] >= AFTER_MESSAGES
        urgent |= self._born[:size] > 0
        return urgent

    def _receipt(self, device: int) -> Due | None:
        news = self._fresh[device] or self._born[device] or self._patience[device]
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
        if stored is None or stored.upto < 0 or self._sequences.is_doubtful(device, boot):
            return None
        self._sent_at[device] = self._now
        return Due(device, boot, stored)

    def _mark_sent(self, device: int) -> None:
        """Note that a receipt for the device's current boot is sent."""
        opened = self._sequences.opened[device]
        again = self._opened[device] == opened
        longer = (
            max(SHORTEST_WAIT, min(2 * int(self._patience[device]), LONGEST_WAIT)) if again else SHORTEST_WAIT
        )
        self._patience[device] = longer if self._sequences.holed[device] else 0
        self._opened[device] = opened
        self._fresh[device] = self._born[device] = self._turn[device] = 0

    def final(self, devices: IntColumn) -> list[Due]:
        """Return a last receipt for each boot of devices that another gateway takes over.

        Devices then drop what is counted here, so that the other gateway does not ask for it.
        """
        boots = [(device, boot) for device in devices.tolist() for boot in self._sequences.boots(device)]
        stored = [(device, boot, self._sequences.stored(device, boot)) for device, boot in boots]
        return [
            Due(device, boot, found)
            for device, boot, found in stored
            if found and found.upto >= 0 and not self._sequences.is_doubtful(device, boot)
        ]

    def forget(self, devices: IntColumn) -> None:
        """Forget retired devices. Call `Sequences.retire` afterwards."""
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
