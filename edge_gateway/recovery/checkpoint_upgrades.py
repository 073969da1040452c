"""Add to checkpoints of earlier formats the keys they lack.

A newer format only adds keys, and never changes the meaning of an existing one, but that format 4 nests pending
commands and renames two parts of admission.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from edge_gateway.fleet.arrivals.boot_mark import BIRTH_FORGOTTEN
from edge_gateway.fleet.arrivals.contents import Contents
from edge_gateway.fleet.arrivals.forgotten import Forgotten
from edge_gateway.fleet.devices.births import Births, Needed
from edge_gateway.fleet.timestamps import NO_TIME
from edge_gateway.windows.rows import NEVER
from fleet_wire.control_messages import Birth

DAY = 86_400_000
_BIRTH = msgspec.msgpack.Decoder(Birth)


def upgraded(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state with every key of the newest format; KeyError when it lacks a key of its own format."""
    for upgrade in _UPGRADES[state.get("format", 1) - 1 :]:
        state = upgrade(state)
    return state


def _from_format_1(state: dict[str, Any]) -> dict[str, Any]:
    """Format 1 had no retired devices, so all count as heard now and no number is free; births and tags were rows."""
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


def _from_format_2(state: dict[str, Any]) -> dict[str, Any]:
    """Format 2 had no shares per device, no doubts about what a device says, and no device problems."""
    fold, limits = state["fold"], state["settings"]
    shares = {
        "device_series": limits["series"],
        "device_strings": limits["strings"],
        "late_share": 1 << 32,
        "forwarded": (),
    }
    return {
        **state,
        "settings": {**limits, **shares},
        "fold": {
            **fold,
            "registry": {**fold["registry"], **_within_bounds(fold["registry"], state["listening"])},
            "admission": {**fold["admission"], **_nothing_odd(fold["admission"])},
            "windows": {**fold["windows"], "late_share": {**_none("device", "used", "at"), "refused": 0}},
        },
    }


def _within_bounds(registry: dict[str, Any], listening: int) -> dict[str, Any]:
    """Format 2 freed nothing, kept whole births, and labelled windows with every tag."""
    devices, texts = len(registry["name"]), registry["strings"]["texts"]
    strings = {
        "given": len(texts),
        "codes": np.arange(len(texts)),
        "texts": texts,
        **_none("owned", "owners"),
    }
    return {
        "swept_at": 0,
        "forwarded": [],
        "births": _facts(registry["born"].tolist(), registry["births"]),
        "strings": strings,
        "series": {**registry["series"], **_held_series(registry["series"], listening)},
        "tags": {**registry["tags"], "refused": 0, "used_up": np.zeros(devices, np.int64)},
    }


def _facts(devices: list[int], births: list[bytes]) -> dict[str, Any]:
    """Reduce whole births to what is kept of them now: all their tags and units."""
    found = Births()
    for device, told in zip(devices, births, strict=True):
        birth = _BIRTH.decode(told)
        found.take(device, birth, Needed(frozenset(birth.tags), frozenset(birth.metrics)))
    return found.snapshot()


def _held_series(series: dict[str, Any], listening: int) -> dict[str, Any]:
    """All live series belong to the gateway and count as used now; numbers of retired devices are free."""
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


def _nothing_odd(admission: dict[str, Any]) -> dict[str, Any]:
    sequences = admission["sequences"]
    streaks = _none("device", "length", "since", "value", "other")
    return {
        "sequences": {
            **sequences,
            "claimed": np.zeros(len(sequences["boot"]), np.int64),
            "not_believed": 0,
        },
        "mostly_bad": _none("device", "values", "bad", "metric", "reason"),
        "watch": {
            "troubles": {"_known": [], "_once": [], "_again": [], "left_out": 0},
            "times": streaks,
            "repeats": streaks,
        },
    }


_RENAMED = {"doubts": "mostly_bad", "hearing": "watch"}


def _from_format_3(state: dict[str, Any]) -> dict[str, Any]:
    """Rename two parts of admission, and make each pending command of its transition and intent.

    Format 3 copied their fields into it and held the alert as on the wire.
    """
    fold, commands = state["fold"], state["fold"]["commands"]
    pending = {name: list(map(_pending, commands[name])) for name in ("waiting", "sent")}
    admission = {_RENAMED.get(name, name): part for name, part in fold["admission"].items()}
    return {**state, "fold": {**fold, "admission": admission, "commands": {**commands, **pending}}}


def _pending(flat: dict[str, Any]) -> dict[str, Any]:
    intent = {
        "name": flat["name"],
        "args": flat["args"],
        "expires_ms": flat["expires_at"] - flat["at"],
        "confirm_within_ms": flat["confirm_within"],
        "retries": flat["retries"],
    }
    alert = {**flat["alert"], "site": flat["site"], "cause": flat["alert"]["state"]}
    progress = ("id", "n", "sent_at", "attempts", "refusals", "refused")
    return {"intent": intent, "alert": alert, **{name: flat[name] for name in progress if name in flat}}


def _from_format_4(state: dict[str, Any]) -> dict[str, Any]:
    """Format 4 judged every message, forgotten or not, and did not note which marks had messages without a time."""
    fold, admission = state["fold"], state["fold"]["admission"]
    sequences, accounting = admission["sequences"], admission["accounting"]
    older, columns = sequences["older"], accounting["columns"]
    nothing = np.zeros(len(columns["received"]), np.int64)
    return {
        **state,
        "fold": {
            **fold,
            "admission": {
                **admission,
                "sequences": {
                    **sequences,
                    **_judging(len(sequences["boot"])),
                    "older": np.column_stack([older, *_judging(len(older)).values()]).astype(np.int64),
                    "forgotten": Forgotten().snapshot(),
                    "contents": Contents().snapshot(),
                    "conflicted": np.zeros(len(sequences["boot"]), np.bool_),
                    "boots_begun_anew": 0,
                },
                "accounting": {
                    **accounting,
                    "columns": {**columns, "not_known": nothing, "values_not_known": nothing},
                },
            },
        },
    }


def _judging(count: int) -> dict[str, Any]:
    """What marks say of what they can judge, where nothing was forgotten."""
    return {
        "judged_from": np.zeros(count, np.int64),
        "unsure_to": np.full(count, NO_TIME, np.int64),
        "untimed": np.ones(count, np.bool_),
        "born": np.full(count, BIRTH_FORGOTTEN, np.int64),
        "denied": np.zeros(count, np.bool_),
    }


def _from_format_5(state: dict[str, Any]) -> dict[str, Any]:
    """Format 5 knew one wall time, the newest, and let nobody vote on it."""
    fold, wall = state["fold"], state["wall"]
    vote = {**_none("said", "at", "anchor", "anchor_at", "live"), "asked_at": None}
    added = {
        "admission": {**fold["admission"], "vote": vote},
        "completeness": {"since": fold["complete_from"], "unsure": None},
    }
    return {**state, "least": wall, "aged": wall, "fold": {**fold, **added}}


def _from_format_6(state: dict[str, Any]) -> dict[str, Any]:
    """Format 6 did not know what devices ever closed: anything up to its own time may have been."""
    fold, every = state["fold"], state["settings"]["every"]
    columns = fold["windows"]["marks"]["columns"]
    end = max(state["wall"], int(columns["closed_to"].max(initial=NEVER)))
    windows = {
        **fold["windows"],
        **{name: [_never_again(tier) for tier in fold["windows"][name]] for name in ("numbers", "states")},
        "ever": [_ever_closed(len(columns["closed_to"]), end + length) for length in every],
    }
    windows["ever"][0]["lost_to"] = fold["completeness"]["since"]
    return {**state, "fold": {**fold, "windows": windows}}


def _never_again(tier: dict[str, Any]) -> dict[str, Any]:
    return {**tier, "again": [], "given": [{**block, "again": None} for block in tier["given"]]}


def _ever_closed(devices: int, end: int) -> dict[str, Any]:
    return {
        "ends": np.full(devices, end, np.int64),
        "gone_to": np.full(devices, NEVER, np.int64),
        "retired": {},
        "newest": end,
        "others_end": end,
        "cut": NEVER,
        "trimmed_at": None,
        "lost_to": NEVER,
    }


def _none(*columns: str) -> dict[str, Any]:
    return dict.fromkeys(columns, np.empty(0, np.int64))


_UPGRADES: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (
    _from_format_1,
    _from_format_2,
    _from_format_3,
    _from_format_4,
    _from_format_5,
    _from_format_6,
)
