"""The fold's state: a copy of it goes on as the original, and other settings take over what it knows."""

import pytest
from msgspec.structs import replace

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fleet.limits import Refusal
from edge_gateway.fold.settings import FoldSettings
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Moment
from edge_gateway.recovery.settings import fold_settings
from edge_gateway.recovery.state import State
from edge_gateway.status.clock import BUILT
from fleet_wire import topics
from fleet_wire.telemetry import encode_telemetry

START = 1_760_000_000_000


def settings() -> FoldSettings:
    return fold_settings(GatewayConfig.model_validate({"mqtt": {"url": "mqtt://localhost"}}))


def reading(seq: int, site: str = "berlin") -> Batch:
    topic = topics.device_topic(site, "f1", topics.TELEMETRY)
    payload = encode_telemetry(1, seq, START + seq, {"t": float(seq)})
    return Batch(Moment(START + seq, seq), [topic], [payload])


def test_a_state_restored_goes_on_as_the_one_it_is_a_copy_of() -> None:
    first, second = State.new("gw", settings()), State.new("gw", settings())
    first.pipeline.fold(reading(0))
    first.folded(Moment(BUILT + 5, 6, least=BUILT + 1, monotonic=9))
    first.folded(Moment(BUILT + 4, 7, least=BUILT + 3, monotonic=11))
    second.restore(codec.unpack(codec.pack(first.snapshot())))
    for state in (first, second):
        state.pipeline.fold(reading(1))
    assert codec.pack(second.snapshot()["fold"]) == codec.pack(first.snapshot()["fold"])
    assert (second.listening, second.wall, second.least) == (7, BUILT + 5, BUILT + 3)
    assert (second.monotonic, second.wall_then) == (11, BUILT + 4)


@pytest.mark.parametrize(
    ("passed", "trusted", "expected"),
    [(0, True, 0), (3_600_000, True, 3_600_000), (-5_000, True, 0), (-5_001, True, None), (1, False, None)],
)
def test_how_long_the_gateway_was_stopped_is_known_where_its_clock_was_not_set_back(
    passed: int, expected: int | None, *, trusted: bool
) -> None:
    state = State.new("gw", settings())
    state.folded(Moment(START + 3_600_000, 0, monotonic=5))
    state.folded(Moment(START, 0, monotonic=7))
    assert state.stopped_for(START + passed, trusted=trusted) == expected


def test_it_is_not_known_where_the_clock_was_not_believed_before() -> None:
    state = State.new("gw", settings())
    state.folded(Moment(START, 0, monotonic=5))
    state.folded(Moment(START, 0, trusted=False, least=START, monotonic=7))
    assert state.stopped_for(START + 1, trusted=True) is None


def test_a_moment_of_the_past_does_not_take_monotonic_time_back() -> None:
    """As that of a message out of the quarantine, which is folded as of its arrival."""
    state = State.new("gw", settings())
    state.folded(Moment(START, 0, monotonic=5_000))
    state.folded(Moment(START - 1_000, 0, least=START, monotonic=4_000))
    assert (state.monotonic, state.stopped_for(START + 10, trusted=True)) == (5_000, 10)


def test_settings_that_take_over_keep_what_is_known_of_devices() -> None:
    state = State.new("gw", settings())
    state.pipeline.fold(reading(0))
    state.take_over(replace(state.settings, max_reading_age=state.settings.max_reading_age + 1))
    state.pipeline.fold(reading(0))
    assert state.pipeline.admission.accounting.totals()["duplicate"] == 1


def test_a_site_that_is_taken_away_is_foreign_from_then_on() -> None:
    state = State.new("gw", replace(settings(), sites=("berlin", "lyon")))
    state.pipeline.fold(reading(0))
    state.take_over(replace(state.settings, sites=("lyon",)))
    effects = state.pipeline.fold(reading(1))
    assert [one.reason for one in effects.quarantined] == [Refusal.FOREIGN_SITE.value]
