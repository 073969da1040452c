"""Samples of a recording as messages."""

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_sim.recordings.reading import RecordedSample
from fleet_sim.recordings.replay import bundles, shifted


def sample(device: str, ts: int, *, doubtful: bool = False) -> RecordedSample:
    return RecordedSample(ts, device, {"x": float(ts)}, {"x": 0.5} if doubtful else None)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.booleans()), max_size=60),
    st.integers(1, 7),
)
def test_bundles_hold_every_sample_once_in_the_order_of_its_device(
    rows: list[tuple[str, int, bool]], batch: int
) -> None:
    samples = [
        sample(device, ts, doubtful=doubt) for device, ts, doubt in sorted(rows, key=lambda row: row[1])
    ]
    made = list(bundles(samples, batch))
    for device in "abc":
        mine = [each for bundle in made if bundle.device == device for each in bundle.samples]
        assert mine == [each for each in samples if each.device == device]
    for bundle in made:
        assert 1 <= len(bundle.samples) <= batch
        assert len(bundle.samples) == 1 or not any(each.q for each in bundle.samples)


def test_shifted_times_end_now_and_keep_their_distances() -> None:
    samples = [sample("a", 1000), sample("a", 4000)]
    assert [each.ts for each in shifted(samples, "shift", 90_000)] == [87_000, 90_000]
    assert [each.ts for each in shifted(samples, "recorded", 90_000)] == [1000, 4000]
