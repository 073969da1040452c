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
    """Format 1 knew no retired devices: everyone is heard now, and no number is free. Births and tags were rows."""
    fold = state["fold"]
    registry, admission = fold["registry"], fold["admission"]
    heard = np.full(len(registry["name"]), state["listening"], np.int64)
    gone = {"lost_at_device": 0, "given_up": 0, "clock_steps": 0}
    admission = {**admission, "sequences": {**admission["sequences"], "gone": gone}}
    return {
        **state,
        "settings": {**state["settings"], "retire_after": 30 * DAY},
        "fold": {
            **fold,
            "registry": {**registry, **_columns(registry), "heard": heard, "free": []},
            "admission": admission,
        },
    }


def _columns(registry: dict[str, Any]) -> dict[str, Any]:
    tags, births = registry["tags"], registry["births"]
    rows = [(device, *entry) for device, entries in enumerate(tags["histories"]) for entry in entries]
    columns: dict[str, Any] = {
        name: [row[place] for row in rows]
        for place, name in enumerate(("site", "name", "type", "tags"), start=3)
    }
    columns["versions"] = np.array([row[:3] for row in rows], np.int64).reshape(-1, 3)
    return {
        "tags": {"given": tags["given"], "forgotten": tags["forgotten"], **columns},
        "born": np.array(list(births), np.int64),
        "births": list(births.values()),
    }


def _until_shares(state: dict[str, Any]) -> dict[str, Any]:
    """Format 2 knew no shares and freed nothing: everything held is the gateway's, and used now."""
    fold, limits = state["fold"], state["settings"]
    registry, admission = fold["registry"], fold["admission"]
    shares = {"device_series": limits["series"], "device_strings": limits["strings"]}
    texts = registry["strings"]["texts"]
    none = np.empty(0, np.int64)
    strings = {
        "given": len(texts),
        "codes": np.arange(len(texts)),
        "texts": texts,
        "owned": none,
        "owners": none,
    }
    series = {**registry["series"], **_held_series(registry["series"], state["listening"])}
    doubts = dict.fromkeys(("device", "values", "bad", "metric", "reason"), none)
    return {
        **state,
        "settings": {**limits, **shares},
        "fold": {
            **fold,
            "registry": {**registry, "swept_at": 0, "strings": strings, "series": series},
            "admission": {**admission, "doubts": doubts},
        },
    }


def _held_series(series: dict[str, Any], listening: int) -> dict[str, Any]:
    """Numbers of retired devices are free."""
    live = series["live"]
    count = len(live)
    return {
        "held": live.copy(),
        "counted": live.copy(),
        "anew": np.zeros(count, np.bool_),
        "used": np.full(count, listening, np.int64),
        "free": np.flatnonzero(~live)[::-1].copy(),
        "free_metrics": [],
        "pinned": [],
    }


_LACKING: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (_until_retirement, _until_shares)
