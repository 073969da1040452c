"""Which series numbers and text codes open windows refer to; these must not be reused."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.records.window_block import NEVER
from edge_gateway.windows.base_tier import BaseTier
from edge_gateway.windows.coarse_tier import CoarseTiers

Bools = NDArray[np.bool_]


class InUse(NamedTuple):
    """`series` is true at each series number with anything open; `texts` holds the codes of texts in use."""

    series: Bools
    texts: set[int]


def in_use(base: BaseTier, coarser: CoarseTiers, is_state: Bools) -> InUse:
    """Scan all open readings and accumulators.

    Args:
        base: the base tier.
        coarser: the coarser tiers.
        is_state: by series number, whether its values are text codes.
    """
    held = coarser.open_at(len(is_state))
    texts: set[int] = set()
    for part in base.parts():
        series = part.key >> base.bits
        held[series] = True
        texts.update(np.unique(part.value[is_state[series]]).astype(np.int64).tolist())
    for rows in (rows for tier in coarser.states for rows in tier.blocks()):
        kept = rows[rows["start"] != NEVER]
        texts.update(np.unique(np.concatenate([kept["first"], kept["last"]])).tolist())
    return InUse(held, texts)
