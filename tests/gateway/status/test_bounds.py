"""Bounds are told of before they are reached, and by whom they are used up."""

from __future__ import annotations

from typing import Any

import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fleet.limits import Refusal
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.recovery.settings import fold_settings
from edge_gateway.status import bounds
from edge_gateway.status.bounds import BoundProblem, Users, bound_problems
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.problem import Gravity
from edge_gateway.status.problems import Problems
from edge_gateway.store.budget import SpoolBytes
from edge_gateway.store.database import StoreFacts
from edge_gateway.store.outbox import Waiting
from tests.gateway.fold.test_shares import Sender, fold

MIB = 1 << 20
OPEN = Problems(lambda: 0)
"""The problems of the limits as they were found last."""
CONFIG = GatewayConfig.model_validate(
    {
        "mqtt": {"url": "mqtt://localhost"},
        "spool": {"max_bytes": "100MiB"},
        "history": {"max_bytes": "100MiB"},
        "limits": {"quarantine": "20MiB"},
        "influx": {"url": "http://localhost", "org": "o", "token": "env:INFLUX_TOKEN", "max_bytes": "100MiB"},
    }
)


def told(
    *,
    quarantine: int = 0,
    history: int = 0,
    outbox: int = 0,
    used: tuple[int, int, int, int] = (0, 0, 0, 0),
    users: Users | None = None,
    pipeline: Pipeline | None = None,
    config: GatewayConfig = CONFIG,
) -> dict[str, BoundProblem]:
    facts: dict[str, Any] = {
        "applied": 0,
        "floor": 0,
        "late_pending": 0,
        "salvaging": False,
        "late_held": False,
        "waiting": {"influx": Waiting(bytes=outbox * MIB)},
        "counters": {},
    }
    stored = StoreFacts(**facts, quarantine_bytes=quarantine * MIB, history_bytes=history * MIB)
    seen = pipeline or build_pipeline("gw", fold_settings(CONFIG))
    spool = SpoolBytes(*(part * MIB for part in used))
    shown = {name: size * MIB for name, size in (users or {}).items()}
    found = list(bound_problems(config, seen, stored, spool, shown))
    for one in found:
        OPEN.update(*one)
    return {one.problem.code: one for one in found if one.text}


def test_nothing_is_told_below_four_fifths() -> None:
    assert told(quarantine=15, history=79, outbox=79, used=(40, 10, 19, 9)) == {}


NEAR = "more than four fifths of "


@pytest.mark.parametrize(
    ("code", "given", "said"),
    [
        ("bound_late", {"used": (0, 0, 20, 0)}, NEAR + "the share of spool.max_bytes for late readings"),
        ("bound_late", {"used": (0, 0, 25, 0)}, "the share of spool.max_bytes for late readings is full"),
        (
            "bound_spool",
            {"used": (60, 10, 1, 20)},
            NEAR + "spool.max_bytes are used; beyond it spool.on_full",
        ),
        ("bound_history", {"history": 85}, NEAR + "history.max_bytes"),
        ("bound_history", {"history": 101}, "history.max_bytes is full: the oldest windows are dropped"),
        ("bound_outbox", {"outbox": 85}, NEAR + "influx.max_bytes are used; beyond it the finest windows"),
        (
            "bound_outbox",
            {"outbox": 99},
            "influx.max_bytes is full: the finest windows that wait are dropped",
        ),
        ("bound_quarantine", {"quarantine": 17, "users": {"f2": 1, "f1": 12}}, "; most are of f1, f2"),
    ],
)
def test_what_is_nearly_full_of_the_disk_is_a_warning(code: str, given: dict[str, Any], said: str) -> None:
    found = told(**given)
    assert found.keys() == {code}
    assert found[code].gravity is Gravity.WARNING
    assert said in found[code].text


def test_a_quarantine_that_one_device_fills_is_no_failure_of_the_gateway() -> None:
    assert told(quarantine=20, users={"flood": 18, "f1": 1})["bound_quarantine"].gravity is Gravity.WARNING
    assert told(quarantine=20, users={"f1": 5, "f2": 4})["bound_quarantine"].gravity is Gravity.FAILURE
    assert told(quarantine=17, users={"f1": 5, "f2": 4})["bound_quarantine"].gravity is Gravity.WARNING


def test_a_quarantine_is_full_at_a_quarter_of_a_small_spool() -> None:
    limits = CONFIG.limits.model_copy(update={"quarantine": 100 * MIB})
    config = CONFIG.model_copy(update={"limits": limits})
    share = "the share of spool.max_bytes for the quarantine"
    assert told(quarantine=19, config=config) == {}
    assert NEAR + share in told(quarantine=21, config=config)["bound_quarantine"].text
    assert told(quarantine=25, config=config)["bound_quarantine"].text.startswith(f"{share} is full")


def test_a_fleet_within_its_bounds_has_no_problem() -> None:
    pipeline = fold().pipeline
    pipeline.fold(Sender("freezer").says(0, temperature=1.0, door="open"))
    assert told(pipeline=pipeline) == {}


def test_series_warn_at_four_fifths_and_fail_when_they_are_full() -> None:
    pipeline = fold(series=20, device_series=12).pipeline
    devices = [Sender("most"), Sender("less")]
    pipeline.fold(devices[0].says(0, **{f"m{number}": 1.0 for number in range(11)}))
    pipeline.fold(devices[1].says(0, **{f"m{number}": 1.0 for number in range(4)}))
    assert told(pipeline=pipeline) == {}
    pipeline.fold(devices[1].says(1, n0=1.0))
    assert told(pipeline=pipeline)["bound_series"] == BoundProblem(
        Problem.BOUND_SERIES,
        "more than four fifths of limits.series (20) are used; "
        "beyond it values of further metrics are lost, as too_many_series; most are of most, less",
        Gravity.WARNING,
    )
    pipeline.fold(devices[1].says(2, **{f"n{number}": 1.0 for number in range(5)}))
    full = told(pipeline=pipeline)["bound_series"]
    assert full.gravity is Gravity.FAILURE
    assert full.text.startswith("limits.series (20) is full: values of further metrics are lost")


def test_texts_and_devices_likewise() -> None:
    pipeline = fold(devices=5, strings=16, device_strings=16).pipeline
    for number in range(4):
        assert "bound_devices" not in told(pipeline=pipeline)
        pipeline.fold(Sender(f"d{number}").says(0, **{f"m{n}": f"{number} {n}" for n in range(4)}))
    found = told(pipeline=pipeline)
    assert found["bound_devices"].gravity is Gravity.WARNING
    assert found["bound_strings"].gravity is Gravity.FAILURE
    assert found["bound_devices"].text.endswith("most are of site berlin")
    assert "most are of d0, d1, d2, d3" in found["bound_strings"].text
    pipeline.fold(Sender("d4").says(0, t=1.0))
    assert told(pipeline=pipeline)["bound_devices"].gravity is Gravity.FAILURE
    assert pipeline.registry.device("berlin", "d5") is Refusal.DEVICES


def test_what_a_full_outbox_drops_is_what_the_configuration_says() -> None:
    assert CONFIG.influx is not None
    by_age = CONFIG.model_copy(update={"influx": CONFIG.influx.model_copy(update={"on_full": "drop_oldest"})})
    assert "what waits longest is dropped" in told(outbox=99, config=by_age)["bound_outbox"].text
    assert told(config=CONFIG.model_copy(update={"influx": None})) == {}


DISK = ("bound_late", "bound_spool", "bound_history", "bound_quarantine", "bound_outbox")


@pytest.mark.problem(
    "raises", "bound_late", "bound_spool", "bound_history", "bound_quarantine", "bound_outbox"
)
@pytest.mark.problem(
    "clears", "bound_late", "bound_spool", "bound_history", "bound_quarantine", "bound_outbox"
)
def test_a_limit_of_the_disk_is_a_problem_until_there_is_room() -> None:
    assert told(quarantine=99, history=99, outbox=99, used=(60, 0, 25, 0), users={"f1": 99}).keys() == set(
        DISK
    )
    assert told() == {}


@pytest.mark.problem("raises", "bound_devices", "bound_series", "bound_strings", "bound_commands")
@pytest.mark.problem("clears", "bound_devices", "bound_series", "bound_strings", "bound_commands")
def test_a_limit_of_the_fold_is_a_problem_until_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = fold(devices=1, series=16, device_series=16, strings=16, device_strings=16).pipeline
    pipeline.fold(Sender("d1").says(0, **{f"m{n}": f"text {n}" for n in range(16)}))
    monkeypatch.setattr(bounds, "MOST_WAITING", 0)
    assert told(pipeline=pipeline).keys() == {
        "bound_devices",
        "bound_series",
        "bound_strings",
        "bound_commands",
    }
    monkeypatch.undo()
    assert told(pipeline=fold(devices=9, series=20, strings=20).pipeline) == {}
