"""Whether a metric holds numbers or texts: declared, guessed, guessed anew, forgotten."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fold.forget import forget_input
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.records import codec
from edge_gateway.records.inputs import Forget, Tick
from edge_gateway.records.store_effects import ClosedWindows, StoreEffects
from edge_gateway.recovery.settings import fold_settings
from edge_gateway.recovery.state import State
from tests.gateway.fold.test_shares import MINUTE, SECOND, Sender, bad, fold, life, moment


def fold_of(**metrics: Any) -> State:
    config = {"mqtt": {"url": "mqtt://localhost"}, "metrics": metrics}
    return State.new("gw", fold_settings(GatewayConfig.model_validate_json(msgspec.json.encode(config))))


def test_without_a_word_the_first_value_says_what_a_metric_holds_until_the_device_starts_again() -> None:
    pipeline, device = fold().pipeline, Sender("freezer")
    pipeline.fold(device.is_born(0))
    pipeline.fold(device.says(0, temperature="init", door="open"))
    pipeline.fold(device.says(SECOND, temperature=-20.0))
    assert bad(pipeline, "freezer") == {"temperature: type": 1}
    pipeline.fold(device.is_born(2 * SECOND))
    pipeline.fold(device.says(2 * SECOND, temperature=-20.0))
    assert bad(pipeline, "freezer") == {"temperature: type": 2}, "the same boot, born again"
    device.boot, device.seq = 2, 0
    pipeline.fold(device.is_born(3 * SECOND))
    pipeline.fold(device.says(4 * SECOND, temperature=-20.0, door="closed"))
    pipeline.fold(device.says(5 * SECOND, temperature="init", door=1.0))
    assert bad(pipeline, "freezer") == {"temperature: type": 3, "door: type": 1}


def rows(effects: list[StoreEffects]) -> dict[str, list[tuple[str, Any]]]:
    """What the store is told of closed base windows, by metric: texts or counts of numbers."""
    found: dict[str, list[tuple[str, Any]]] = {}
    metric: dict[tuple[int, int], str] = {}
    text: dict[int, str] = {}
    for one in effects:
        metric |= {(name.series, name.version): name.metric for name in one.series}
        text |= {name.code: name.text for name in one.texts}
        closed_windows: list[tuple[str, ClosedWindows]] = [
            *(("number", each) for each in one.windows),
            *(("state", each) for each in one.states),
        ]
        for kind, closed in closed_windows:
            for row, version in (
                zip(closed.rows, closed.versions.tolist(), strict=True) if not closed.tier else ()
            ):
                said = int(row["count"]) if kind == "number" else text[int(row["last"])]
                found.setdefault(metric[int(row["series"]), version], []).append((kind, said))
    return found


def test_what_is_open_when_a_kind_begins_anew_closes_as_what_it_was() -> None:
    state, device = fold(), Sender("freezer")
    effects = life(state, [device.is_born(0), device.says(0, temperature="init")])
    device.boot, device.seq = 2, 0
    given = [
        device.is_born(SECOND),
        device.says(SECOND, temperature=-20.0),
        device.says(2 * SECOND, temperature=-21.0),
    ]
    effects += life(state, [*given, *(Tick(moment(ms)) for ms in range(3_000, 3 * MINUTE, SECOND))])
    assert sorted(rows(effects)["temperature"]) == [("number", 2), ("state", "init")]
    table = state.pipeline.registry.table
    assert (len(table), table.held_by(0)) == (2, 1), "the number of the texts is free again"


def test_a_declared_kind_wins_over_the_first_value() -> None:
    pipeline = fold_of(temperature={"kind": "number"}, door={"kind": "state"}).pipeline
    device = Sender("freezer")
    pipeline.fold(
        device.is_born(0, {"door": {"kind": "number"}, "level": {"unit": "m"}, "mode": {"kind": "state"}})
    )
    pipeline.fold(device.says(0, temperature="init", door=1.0, level="none", mode=2.0))
    pipeline.fold(device.says(SECOND, temperature=-20.0, door="open", level=2.5, mode="auto"))
    assert bad(pipeline, "freezer") == dict.fromkeys(
        [f"{name}: type" for name in ("temperature", "door", "level", "mode")], 1
    )
    device.boot, device.seq = 2, 0
    pipeline.fold(device.is_born(2 * SECOND, {"level": {"unit": "m"}}))
    pipeline.fold(device.says(2 * SECOND, temperature="init", level="none", mode=3.0))
    assert bad(pipeline, "freezer")["level: type"] == 2
    assert bad(pipeline, "freezer")["temperature: type"] == 2
    assert bad(pipeline, "freezer")["mode: type"] == 1, "no longer declared: guessed anew"


@pytest.mark.parametrize(
    "said", [{"unit": "°C"}, {"min": -40.0}, {"max": 85.0}, {"warning": 1.0}, {"critical": 1.0}]
)
def test_a_birth_that_comes_late_mends_what_was_guessed_wrong(said: dict[str, Any]) -> None:
    pipeline, device = fold().pipeline, Sender("freezer")
    pipeline.fold(device.says(0, temperature="init"))
    pipeline.fold(device.is_born(SECOND, {"temperature": said}))
    pipeline.fold(device.says(2 * SECOND, temperature=-20.0))
    assert bad(pipeline, "freezer") == {}


def test_a_birth_that_confirms_what_is_to_be_guessed_anew_ends_the_guessing() -> None:
    pipeline, device = fold().pipeline, Sender("freezer")
    pipeline.fold(device.says(0, temperature=-20.0))
    device.boot, device.seq = 2, 0
    pipeline.fold(device.is_born(SECOND))
    pipeline.fold(device.is_born(2 * SECOND, {"temperature": {"unit": "°C"}}))
    pipeline.fold(device.says(3 * SECOND, temperature="init"))
    pipeline.fold(device.says(4 * SECOND, temperature=-20.0))
    assert bad(pipeline, "freezer") == {"temperature: type": 1}


def test_births_that_say_now_this_and_now_that_stay_within_the_share() -> None:
    state, device = fold(device_series=8), Sender("evil")
    for step in range(60):
        device.boot, device.seq = step, 0
        kinds = {f"m{number}": {"kind": ["number", "state"][step % 2]} for number in range(4)}
        life(state, [device.is_born(step * SECOND, kinds)])
        life(state, [device.says(step * SECOND, **{name: [1.0, "text"][step % 2] for name in kinds})])
    table = state.pipeline.registry.table
    assert table.held_by(0) == table.counted == 8
    before = state.pipeline.snapshot()
    state._become(state.settings, before)
    assert codec.pack(state.pipeline.snapshot()) == codec.pack(before)


@pytest.mark.parametrize("limits", [{}, {"device_series": 1}])
def test_a_kind_declared_in_another_life_is_heeded_however_little_room_there_is(
    limits: dict[str, int],
) -> None:
    device, state, told = Sender("freezer"), fold(**limits), fold_of(temperature={"kind": "number"})
    state.pipeline.fold(device.says(0, temperature="init"))
    told.settings = msgspec.structs.replace(state.settings, metrics=told.settings.metrics)
    told._become(told.settings, state.pipeline.snapshot())
    before = told.pipeline.snapshot()
    told._become(told.settings, before)
    assert codec.pack(told.pipeline.snapshot()) == codec.pack(before)
    told.pipeline.fold(device.says(SECOND, temperature=-20.0))
    assert bad(told.pipeline, "freezer") == {}


def test_what_only_numbers_have_is_no_word_for_texts() -> None:
    with pytest.raises(ValueError, match="'range' is for numbers, but 'kind: state' means texts and bools"):
        fold_of(door={"kind": "state", "range": [0, 1]})


# --- forgetting


def asked(pipeline: Pipeline, ms: int, device: str, metric: str | None = None) -> Forget:
    return forget_input(pipeline.registry, moment(ms), {"device": device, "metric": metric})


def test_a_forgotten_metric_begins_anew_and_nothing_sent_again_counts_twice() -> None:
    pipeline, device = fold().pipeline, Sender("freezer")
    first = device.says(0, temperature="init", humidity=40.0)
    for one in (first, device.says(SECOND, temperature=-20.0), first):
        pipeline.fold(one)
    effects = pipeline.fold(asked(pipeline, 2 * SECOND, "freezer", "temperature"))
    assert effects.changed
    assert effects.urgent
    for one in (first, device.says(3 * SECOND, temperature=-20.0, humidity="dry")):
        pipeline.fold(one)
    assert bad(pipeline, "freezer") == {"temperature: type": 1, "humidity: type": 1}
    totals = pipeline.admission.accounting.totals()
    assert (totals["new"], totals["duplicate"]) == (3, 2)


def test_a_forgotten_device_that_is_silent_makes_room_once_nothing_of_it_is_open() -> None:
    pipeline, device = fold(devices=1).pipeline, Sender("old")
    pipeline.fold(device.says(0, temperature=1.0))
    pipeline.fold(asked(pipeline, SECOND, "old"))
    for ms in range(2_000, MINUTE, SECOND):
        pipeline.fold(Tick(moment(ms)))
    assert (pipeline.registry.alive, pipeline.registry.retired) == (0, 1)
    assert not pipeline.fold(Sender("new").says(MINUTE, temperature=1.0)).quarantined
    assert pipeline.registry.find("new") == 0
    assert pipeline.admission.accounting.totals()["new"] == 2


def test_a_forgotten_device_that_speaks_is_still_known() -> None:
    pipeline, device = fold().pipeline, Sender("freezer")
    first = device.says(0, temperature="init")
    pipeline.fold(first)
    pipeline.fold(asked(pipeline, SECOND, "freezer"))
    pipeline.fold(device.says(2 * SECOND, temperature=1.0))
    for ms in range(3_000, MINUTE, SECOND):
        pipeline.fold(Tick(moment(ms)))
    pipeline.fold(first)
    totals = pipeline.admission.accounting.totals()
    assert (pipeline.registry.retired, totals["new"], totals["duplicate"], totals["bad"]) == (0, 2, 1, 0)


def test_what_rules_derive_is_not_forgotten() -> None:
    pipeline, device = fold().pipeline, Sender("freezer")
    pipeline.fold(device.says(0, temperature=1.0))
    derived = pipeline.registry.derived(0, pipeline.registry.metric("double"))
    pipeline.fold(asked(pipeline, 0, "freezer"))
    assert pipeline.registry.derived(0, pipeline.registry.metric("double")) == derived
