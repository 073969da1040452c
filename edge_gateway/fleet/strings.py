"""Texts as numbers, so that states travel in integer columns."""

from typing import Any

FALSE, TRUE = 0, 1
"""Codes every table starts with: a bool is a state with one of two texts."""


class StringTable:
    """A bounded table of texts; codes count up from 0 and are never given twice."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._texts = ["false", "true"]
        self._codes = {"false": FALSE, "true": TRUE}

    def __len__(self) -> int:
        return len(self._texts)

    def code(self, text: str) -> int:
        """Return the code of `text`, giving it one when it is new; -1 when the table is full."""
        known = self._codes.get(text)
        if known is not None:
            return known
        if len(self._texts) >= self._limit:
            return -1
        self._codes[text] = len(self._texts)
        self._texts.append(text)
        return len(self._texts) - 1

    def text(self, code: int) -> str:
        return self._texts[code]

    def snapshot(self) -> dict[str, Any]:
        return {"texts": list(self._texts)}

    def restore(self, state: dict[str, Any]) -> None:
        self._texts = list(state["texts"])
        self._codes = {text: code for code, text in enumerate(self._texts)}
