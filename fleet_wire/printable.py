"""Text of somebody else, made safe to show: on a terminal, in a log line, in an error, in a table cell."""

from __future__ import annotations

import unicodedata

LONGEST = 200
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of what a terminal obeys instead of showing: controls, directions, surrogates, line ends."""


def printable(text: object, longest: int = LONGEST) -> str:
    r"""Return `text` as one line without anything a terminal obeys, at most `longest` characters.

    What cannot be seen stands as its escape (`\x1b`, `\n`, `\u202e`); what is too long ends in `…`. A renderer that
    reads markup must still be told not to: Rich shows this as `Text(printable(text))`.
    """
    whole = str(text)
    shown = "".join(map(_seen, whole[: longest + 1]))
    return shown if len(whole) <= longest and len(shown) <= longest else shown[: longest - 1] + "…"


def _seen(character: str) -> str:
    if character.isprintable() or character == " " or unicodedata.category(character) not in _UNSEEN:
        return character
    return character.encode("unicode_escape").decode("ascii")
