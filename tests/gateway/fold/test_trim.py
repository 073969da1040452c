"""A trim of the history is an input: the fold knows from then on what is gone."""

from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records.inputs import StateLost, Tick, Trim
from edge_gateway.records.store_effects import BEHIND
from tests.gateway.fleet.imbalance import imbalance
from tests.gateway.fold.given import START, batch, moment, reading, settings

CUTS = [START + 30_000, START + 30_000]


def lived(minutes: int = 2) -> Pipeline:
    """A device with a reading a second, all of whose windows are closed."""
    one = build_pipeline("gw", settings())
    end = minutes * 60_000
    for ms in range(0, end, 1_000):
        one.fold(batch(ms, reading("frz", ms // 1_000, ms, temperature=1.0)))
    for ms in range(end, end + 30_000, 1_000):
        one.fold(Tick(moment(ms)))
    return one


def late_tiers(pipeline: Pipeline, seq: int, ms: int) -> list[int]:
    """Return where a reading that comes after three minutes must be merged."""
    effects = pipeline.fold(batch(180_000, reading("frz", 200, 179_999, temperature=1.0)))
    assert effects.late is None
    effects = pipeline.fold(batch(180_001, reading("frz", seq, ms, temperature=1.0)))
    return [] if effects.late is None else effects.late.tiers.tolist()


def restarted(pipeline: Pipeline) -> Pipeline:
    again = build_pipeline("gw", settings())
    again.restore(pipeline.snapshot())
    return again


def test_the_record_of_a_trim_says_what_leaves_the_history() -> None:
    effects = lived().fold(Trim(moment(150_000), CUTS))
    assert (effects.cuts, effects.changed) == (tuple(CUTS), True)


def test_a_late_reading_of_what_is_gone_is_merged_nowhere_and_counted_too_late() -> None:
    for ms, expected in ((29_999, [BEHIND]), (30_000, [0b11])):
        pipeline = lived()
        pipeline.fold(Trim(moment(150_000), CUTS))
        pipeline = restarted(pipeline)
        assert late_tiers(pipeline, 150, ms) == expected
        totals = pipeline.admission.accounting.totals()
        assert (totals["too_late"], totals["late_merged"]) == ((1, 0) if expected == [BEHIND] else (0, 1))
        assert not imbalance(pipeline.admission.accounting)


def test_after_a_loss_nothing_is_merged_into_what_was_before_it() -> None:
    pipeline = lived()
    effects = pipeline.fold(StateLost(moment(150_000)))
    assert effects.frozen == START + 150_000
    assert late_tiers(pipeline, 150, 60_000) == [BEHIND]


def test_a_cut_within_a_coarser_window_refuses_its_first_part_alone() -> None:
    pipeline = lived()
    pipeline.fold(Trim(moment(150_000), [START + 35_000, START + 30_000]))
    found = [late_tiers(restarted(pipeline), 150, ms) for ms in (34_999, 35_000)]
    assert found == [[BEHIND], [0b11]]
