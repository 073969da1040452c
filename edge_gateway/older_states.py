"""What checkpoints of earlier formats lack, and what stands in for it.

A later format only adds keys; none that an earlier one has is given another meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

DAY = 86_400_000


def brought_up(state: dict[str, Any]) -> dict[str, Any]:
    """The state of a checkpoint with every key of the newest format. KeyError: it lacks more than its format allows."""
    for lacking in _LACKING[state.get("format", 1) - 1 :]:
        state = lacking(state)
    return state


def _until_retirement(state: dict[str, Any]) -> dict[str, Any]:
    """Format 1 knew no retired devices: everyone is heard now, and no number is free."""
    fold = state["fold"]
    registry, admission = fold["registry"], fold["admission"]
    heard = np.full(len(registry["name"]), state["listening"], np.int64)
    gone = {"lost_at_device": 0, "given_up": 0, "clock_steps": 0}
    admission = {**admission, "sequences": {**admission["sequences"], "gone": gone}}
    return {
        **state,
        "settings": {**state["settings"], "retire_after": 30 * DAY},
        "fold": {**fold, "registry": {**registry, "heard": heard, "free": []}, "admission": admission},
    }


_LACKING: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (_until_retirement,)
