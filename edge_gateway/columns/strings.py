"""Codes for texts, so that states fit in integer columns."""

from collections import Counter
from collections.abc import Container
from typing import Any

import numpy as np

from edge_gateway.columns.frame import IntColumn

FALSE, TRUE = 0, 1
"""Codes of "false" and "true", in every table: a bool is a state."""
NO_ROOM = -1
GATEWAY = -1
"""Owner of texts that no device used first: bools, texts in rules, and tags that rules compare."""


class StringTable:
    """A bounded table of texts; codes count up from 0 and are never reused.

    A text counts to the share of the device that used it first. The gateway's own texts are not bounded here: there are
    only as many as the rules name.

    Args:
        limit: texts of all devices together.
        share: texts of one device; None: no limit of its own.
    """

    def __init__(self, limit: int, share: int | None = None) -> None:
        self.limit = limit
        self.share = limit if share is None else share
        self.given = 2
        """How many codes were ever given."""
        self._texts = {FALSE: "false", TRUE: "true"}
        self._codes = {"false": FALSE, "true": TRUE}
        self._owners: dict[int, int] = {}
        """By code: the device that owns it. The gateway owns the others."""
        self.held: Counter[int] = Counter()
        """By device: the number of texts it owns."""
        self._tight: set[int] = set()
        """Devices that own more than half of their share."""

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def of_devices(self) -> int:
        """The number of texts that devices own, at most `limit`."""
        return len(self._owners)

    def code(self, text: str, device: int = GATEWAY) -> int:
        """Return the code of `text`, a new one if need be; NO_ROOM when the device's share or the table is full."""
        known = self._codes.get(text)
        if known is not None:
            return known
        if device != GATEWAY:
            if len(self._owners) >= self.limit or self.held[device] >= self.share:
                return NO_ROOM
            self._owners[self.given] = device
            self.held[device] += 1
            if self._is_tight(device):
                self._tight.add(device)
        code, self.given = self.given, self.given + 1
        self._codes[text], self._texts[code] = code, text
        return code

    def known(self, text: str) -> int | None:
        """Return the code of `text`; None if it has none."""
        return self._codes.get(text)

    def text(self, code: int) -> str:
        """Return the text of a code. KeyError: it was never given, or is forgotten."""
        return self._texts[code]

    def crowded(self) -> bool:
        """Whether room is short enough to search for unused texts."""
        return bool(self._tight) or 2 * len(self._owners) > self.limit

    def _is_tight(self, device: int) -> bool:
        return 2 * self.held[device] > self.share

    def keep(self, used: Container[int]) -> IntColumn:
        """Forget all texts but `used` ones and the bools; return the forgotten codes."""
        gone = [code for code in self._texts if code > TRUE and code not in used]
        for code in gone:
            del self._codes[self._texts.pop(code)]
            owner = self._owners.pop(code, GATEWAY)
            if owner != GATEWAY:
                self._take_from(owner)
        return np.array(gone, np.int64)

    def _take_from(self, device: int) -> None:
        self.held[device] -= 1
        if not self._is_tight(device):
            self._tight.discard(device)
        if not self.held[device]:
            del self.held[device]

    def disown(self, devices: IntColumn) -> None:
        """Hand the texts of retired devices to the gateway; other devices get their numbers."""
        gone = set(devices.tolist()) & self.held.keys()
        if gone:
            self._owners = {code: owner for code, owner in self._owners.items() if owner not in gone}
            self._tight -= gone
            for device in gone:
                del self.held[device]

    def snapshot(self) -> dict[str, Any]:
        return {
            "given": self.given,
            "codes": np.array(list(self._texts), np.int64),
            "texts": list(self._texts.values()),
            "owned": np.array(list(self._owners), np.int64),
            "owners": np.array(list(self._owners.values()), np.int64),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.given = state["given"]
        self._texts = dict(zip(state["codes"].tolist(), state["texts"], strict=True))
        self._codes = {text: code for code, text in self._texts.items()}
        self._owners = dict(zip(state["owned"].tolist(), state["owners"].tolist(), strict=True))
        self.held = Counter(self._owners.values())
        self._tight = set(filter(self._is_tight, self.held))
