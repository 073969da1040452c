"""Input series of rule tests, in promtool's notation with quoted texts added.

`5` is one sample, `5x3` four of them, `1+2x3` is 1 3 5 7, `9-1x2` is 9 8 7. `_` is a missing sample, `_x3` three of
them; `stale` means the same as `_`. `'open'x3` is four samples of a text; `true` and `false` are texts, too.
Source: https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series
"""

from __future__ import annotations

import math
import re
from typing import Final

from edge_gateway.rules.language.tokens import ExpressionError

MAX_SAMPLES: Final = 1_000_000

Sample = float | str | None

_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_ITEM = re.compile(
    rf"""
    (?: (?P<missing>_|stale)
      | (?P<text>'[^']*'|"[^"]*"|true|false)
      | (?P<start>[-+]?{_NUMBER})(?P<step>[-+]{_NUMBER})?
    )
    (?:x(?P<times>[0-9]+))?
    (?=\s|$)
    """,
    re.VERBOSE,
)


def samples(text: str) -> list[Sample]:
    """One sample per interval, None for a missing one. ExpressionError with the position of the invalid item."""
    found: list[Sample] = []
    for word in re.finditer(r"'[^']*'\S*|\"[^\"]*\"\S*|\S+", text):
        found += _expanded(word[0], word.start())
        if len(found) > MAX_SAMPLES:
            raise ExpressionError(word.start(), f"too many samples; a series may have {MAX_SAMPLES}")
    return found


def _expanded(word: str, at: int) -> list[Sample]:
    item = _ITEM.fullmatch(word)
    times = int(item["times"] or 0) if item else 0
    if item is None or times > MAX_SAMPLES or (item["step"] and not item["times"]):
        raise ExpressionError(at, f"'{word}' is not a sample; write 5, 5x3, 1+2x3, _, _x3 or 'open'x3")
    if item["missing"]:
        return [None] * max(times, 1)
    if item["text"]:
        return [item["text"].strip("'\"")] * (times + 1)
    start, step = float(item["start"]), float(item["step"] or 0)
    if not math.isfinite(start + times * step):
        raise ExpressionError(at, f"'{word}' is too large")
    return [start + number * step for number in range(times + 1)]
