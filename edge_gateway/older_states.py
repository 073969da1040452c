"""What checkpoints of earlier formats lack, and what stands in for it.

A later format only adds keys; none that an earlier one has is given another meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from edge_gateway.fleet.births import Births, Needed
from fleet_wire.control import Birth

DAY = 86_400_000
_BIRTH = msgspec.msgpack.Decoder(Birth)


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


def _until_bounds(state: dict[str, Any]) -> dict[str, Any]:
    """Format 2 kept births whole, labelled windows with every tag, and believed whatever a device said of its seqs."""
    fold = state["fold"]
    registry, admission = fold["registry"], fold["admission"]
    devices = len(registry["name"])
    tags = {**registry["tags"], "refused": 0, "used_up": np.zeros(devices, np.int64)}
    births = _facts(registry["born"].tolist(), registry["births"])
    sequences = {
        **admission["sequences"],
        "claimed": np.zeros(len(admission["sequences"]["boot"]), np.int64),
        "not_believed": 0,
    }
    return {
        **state,
        "settings": {**state["settings"], "forwarded": (), "late_share": 1 << 32},
        "fold": {
            **fold,
            "registry": {**registry, "tags": tags, "births": births, "forwarded": []},
            "admission": {**admission, "sequences": sequences, "hearing": _nothing_heard()},
            "windows": {**fold["windows"], "late_share": _nothing_late()},
        },
    }


def _nothing_late() -> dict[str, Any]:
    none = np.empty(0, np.int64)
    return {"device": none, "used": none, "at": none, "refused": 0}


def _nothing_heard() -> dict[str, Any]:
    none = np.empty(0, np.int64)
    streaks = dict.fromkeys(("device", "length", "since", "value", "other"), none)
    return {
        "troubles": {"_known": [], "_once": [], "_again": [], "left_out": 0},
        "times": streaks,
        "repeats": streaks,
    }


def _facts(devices: list[int], births: list[bytes]) -> dict[str, Any]:
    """What is kept of births that were kept whole: all their tags and units."""
    found = Births()
    for device, told in zip(devices, births, strict=True):
        birth = _BIRTH.decode(told)
        found.take(device, birth, Needed(frozenset(birth.tags), frozenset(birth.metrics)))
    return found.snapshot()


_LACKING: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (_until_retirement, _until_bounds)
