"""Which series and texts open windows hold: what is held may not be given another meaning."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.windows.base_tier import BaseTier
from edge_gateway.windows.rows import NEVER
from edge_gateway.windows.tiers import Tier

Bools = NDArray[np.bool_]


class InUse(NamedTuple):
    """`series` says for each series number whether anything is open; `texts` are codes."""

    series: Bools
    texts: set[int]


def in_use(base: BaseTier, numbers: Iterable[Tier], states: Iterable[Tier], is_state: Bools) -> InUse:
    """Look through all open readings and accumulators; `is_state` says by series whether values are codes."""
    held = np.zeros(len(is_state), np.bool_)
    texts: set[int] = set()
    for part in base.parts():
        series = part.key >> base.bits
        held[series] = True
        texts.update(np.unique(part.value[is_state[series]]).astype(np.int64).tolist())
    for tier in numbers:
        held |= tier.open_at(len(held))
    for tier in states:
        held |= tier.open_at(len(held))
        for rows in tier.blocks():
            kept = rows[rows["start"] != NEVER]
            texts.update(np.unique(np.concatenate([kept["first"], kept["last"]])).tolist())
    return InUse(held, texts)
