"""Bounds are told of before they are reached, and by whom they are used up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_gateway.bound_problems import BoundProblem, Users, problems
from edge_gateway.config import GatewayConfig
from edge_gateway.durable.budget import SpoolBytes
from edge_gateway.durable.store import StoreFacts
from edge_gateway.fold_settings import FoldSettings, build_pipeline
from edge_gateway.pipeline import Pipeline
from edge_gateway.status import Gravity

MIB = 1 << 20
CONFIG = GatewayConfig.model_validate(
    {
        "mqtt": {"url": "mqtt://localhost"},
        "spool": {"max_bytes": "100MiB"},
        "history": {"max_bytes": "100MiB"},
        "limits": {"quarantine": "100MiB", "devices": 5},
    }
)


def told(
    *,
    quarantine: int = 0,
    history: int = 0,
    used: tuple[int, int, int, int] = (0, 0, 0, 0),
    users: Users = (),
    pipeline: Pipeline | None = None,
) -> dict[str, BoundProblem]:
    facts: dict[str, Any] = {
        "applied": 0,
        "floor": 0,
        "late_pending": 0,
        "salvaging": False,
        "late_held": False,
        "waiting": {},
        "counters": {},
    }
    stored = StoreFacts(**facts, quarantine_bytes=quarantine * MIB, history_bytes=history * MIB)
    fold = pipeline or build_pipeline("gw", FoldSettings.of(CONFIG))
    spool = SpoolBytes(*(part * MIB for part in used))
    shown = [(name, size * MIB) for name, size in users]
    return {one.code: one for one in problems(CONFIG, fold, stored, spool, shown) if one.text}


def test_nothing_is_told_below_four_fifths() -> None:
    assert told(quarantine=79, history=79, used=(40, 10, 19, 9)) == {}


@pytest.mark.parametrize(
    ("code", "given", "said"),
    [
        ("late_table", {"used": (0, 0, 20, 0)}, "80 % of what late readings may take"),
        ("spool_space", {"used": (60, 10, 1, 20)}, "91 % of spool.max_bytes"),
        ("history", {"history": 101}, "100 % of history.max_bytes"),
        ("quarantine", {"quarantine": 85, "users": [("f1", 60), ("f2", 5)]}, "f1 60 %, f2 5 %"),
    ],
)
def test_what_is_nearly_full_is_a_warning(code: str, given: dict[str, Any], said: str) -> None:
    found = told(**given)
    assert found.keys() == {code}
    assert found[code].gravity is Gravity.WARNING
    assert said in found[code].text


def test_a_quarantine_that_one_device_fills_is_no_failure_of_the_gateway() -> None:
    assert told(quarantine=99, users=[("flood", 90), ("f1", 1)])["quarantine"].gravity is Gravity.WARNING
    assert told(quarantine=99, users=[("f1", 20), ("f2", 19)])["quarantine"].gravity is Gravity.FAILURE


def test_devices_are_told_of_before_new_ones_are_refused() -> None:
    pipeline = build_pipeline("gw", FoldSettings.of(CONFIG))
    for number in range(3):
        pipeline.registry.device("s", f"f{number}")
    assert told(pipeline=pipeline) == {}
    pipeline.registry.device("s", "f3")
    assert "80 % of limits.devices" in told(pipeline=pipeline)["devices"].text


def test_who_uses_up_its_share_of_late_readings_is_named() -> None:
    pipeline = build_pipeline("gw", FoldSettings.of(CONFIG))
    pipeline.registry.device("berlin", "slow")
    share = pipeline.windows.late_share
    assert share.most == 100 * MIB // 4 // 4 // 64
    share.over(np.zeros(share.most, np.int64), 0)
    assert "berlin/slow 100 %" in told(pipeline=pipeline)["late_share"].text
