"""Add to checkpoints of earlier formats the keys they lack.

A newer format only adds keys, and never changes the meaning of an existing one, but that format 4 nests pending
commands and renames two parts of admission, and that format 8 keeps the clocks of devices apart from their sequences.
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
from edge_gateway.fleet.timestamps import NO_TIME, TimeLimits
from edge_gateway.windows.gaps import no_gaps
from edge_gateway.windows.rows import STATE_ROW, WINDOW_ROW
from edge_gateway.windows.tiers import nothing_open
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
    """Format 6 had no monotonic time, and commands waited by the wall clock: its time becomes the monotonic one."""
    fold, commands, wall = state["fold"], state["fold"]["commands"], state["wall"]
    pending = {name: list(map(_timed, commands[name])) for name in ("waiting", "sent")}
    admission = {**fold["admission"], "stamps": _none("newest", "at")}
    fold = {**fold, "admission": admission, "commands": {**commands, **pending}}
    return {**state, "monotonic": wall, "wall_then": wall, "fold": fold}


def _timed(pending: dict[str, Any]) -> dict[str, Any]:
    expires_at = pending["alert"]["at"] + pending["intent"]["expires_ms"]
    return {**pending, "expires_at": expires_at, "tried_at": pending.get("sent_at", 0)}


def _from_format_7(state: dict[str, Any]) -> dict[str, Any]:
    """Format 7 had no clocks of devices, which go on at the newest times that rules have seen, and no gaps."""
    fold, admission = state["fold"], dict(state["fold"]["admission"])
    sequences = {name: part for name, part in admission["sequences"].items() if name not in _OF_CLOCKS}
    steps, gone = admission["sequences"]["steps"], dict(sequences["gone"])
    cursor = np.zeros(len(steps), np.int64)
    seen = fold["rules"]["inputs"]["cursor"][: len(steps)]
    cursor[: len(seen)] = seen
    clocks = {
        "boot": sequences["boot"].copy(),
        "newest": np.where(cursor > 0, cursor, NO_TIME),
        "born": np.zeros(len(steps), np.bool_),
        "announced": np.zeros(len(steps), np.bool_),
        "steps": steps,
        "small_steps": np.zeros(len(steps), np.int64),
        "set_aside": np.zeros(len(steps), np.int64),
        "runs": [],
        "gone": {
            "clock_steps": gone.pop("clock_steps"),
            "small_clock_steps": 0,
            "messages_of_other_boots": 0,
        },
    }
    older = np.delete(sequences["older"], _OLDER_TOP_TIME, axis=1)
    admission |= {"clocks": clocks, "sequences": {**sequences, "gone": gone, "older": older}}
    settings = {**state["settings"], "max_step_back": TimeLimits().max_step_back}
    return {
        **state,
        "settings": settings,
        "fold": {**fold, "admission": admission, "windows": _gapless(fold)},
    }


def _gapless(fold: dict[str, Any]) -> dict[str, Any]:
    windows, marks = fold["windows"], fold["windows"]["marks"]
    gaps = no_gaps(len(marks["columns"]["newest"])).snapshot()
    tiers = {
        "numbers": [{"live": tier, "kept": nothing_open(WINDOW_ROW)} for tier in windows["numbers"]],
        "states": [{"live": tier, "kept": nothing_open(STATE_ROW)} for tier in windows["states"]],
    }
    return {**windows, **tiers, "marks": {**marks, "gaps": gaps}}


_OF_CLOCKS = ("steps", "top_time")
_OLDER_TOP_TIME = 4
"""The column of rows of older marks, which begin with their device, that held the time of the highest seq."""


def _none(*columns: str) -> dict[str, Any]:
    return dict.fromkeys(columns, np.empty(0, np.int64))


_UPGRADES: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (
    _from_format_1,
    _from_format_2,
    _from_format_3,
    _from_format_4,
    _from_format_5,
    _from_format_6,
    _from_format_7,
)
