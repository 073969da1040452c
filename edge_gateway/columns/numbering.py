"""A map from 64-bit keys to numbers in columns: 16 bytes an entry, where a dict of integers takes 120."""

from __future__ import annotations

import numpy as np

from edge_gateway.columns.frame import IntColumn

NONE = -1
_LEAST_FRESH = 1_024
_FRESH_SHARE = 8


class Numbering:
    """Non-negative numbers by key.

    New keys wait in a dict until they are more than a thousand, and more than an eighth of those sorted in.
    """

    def __init__(self) -> None:
        self._keys: IntColumn = np.empty(0, np.int64)
        self._numbers: IntColumn = np.empty(0, np.int64)
        self._fresh: dict[int, int] = {}
        self._count = 0

    @classmethod
    def of(cls, keys: IntColumn, numbers: IntColumn) -> Numbering:
        """Return the numbering of these columns; keys are distinct, in any order."""
        made = cls()
        order = np.argsort(keys)
        made._keys, made._numbers, made._count = keys[order], numbers[order], len(keys)
        return made

    def __len__(self) -> int:
        return self._count

    def get(self, key: int) -> int:
        """Return the number of a key, or NONE."""
        fresh = self._fresh.get(key)
        if fresh is not None:
            return fresh
        place = self._place(key)
        return NONE if place == NONE else int(self._numbers[place])

    def put(self, key: int, number: int) -> None:
        """Set the number of a key."""
        place = self._place(key)
        if place != NONE:
            self._count += int(self._numbers[place] == NONE)
            self._numbers[place] = number
            return
        self._count += key not in self._fresh
        self._fresh[key] = number
        if len(self._fresh) > _LEAST_FRESH and len(self._fresh) * _FRESH_SHARE > len(self._keys):
            self._sort_in()

    def remove(self, key: int) -> int:
        """Forget a key and return its number, or NONE."""
        number = self.get(key)
        if self._fresh.pop(key, None) is None and number != NONE:
            self._numbers[self._place(key)] = NONE
        self._count -= number != NONE
        return number

    def many(self, keys: IntColumn) -> IntColumn:
        """Return the number of each key, or NONE."""
        if len(self._keys):
            place = np.searchsorted(self._keys, keys)
            place[place == len(self._keys)] = 0
            found: IntColumn = np.where(self._keys[place] == keys, self._numbers[place], NONE)
        else:
            found = np.full_like(keys, NONE)
        if self._fresh:
            get = self._fresh.get
            missing = np.flatnonzero(found == NONE)
            found[missing] = [get(key, NONE) for key in keys[missing].tolist()]
        return found

    def numbers(self) -> IntColumn:
        """Return all numbers, by ascending key."""
        self._sort_in()
        return self._numbers

    def _place(self, key: int) -> int:
        place = int(np.searchsorted(self._keys, key))
        return place if place < len(self._keys) and self._keys[place] == key else NONE

    def _sort_in(self) -> None:
        """Merge the new keys into the columns and drop removed ones."""
        kept = self._numbers != NONE
        keys = np.concatenate([self._keys[kept], np.array(list(self._fresh), np.int64)])
        numbers = np.concatenate([self._numbers[kept], np.array(list(self._fresh.values()), np.int64)])
        # Keys are distinct, and most are sorted: this is the fastest kind.
        order = np.argsort(keys, kind="stable")
        self._keys, self._numbers = keys[order], numbers[order]
        self._fresh.clear()
