"""Excerpts around onsets, and their copies with faults."""

from edge_gateway.backtest.trials import WEEK, Trial, accepted, copies, excerpts, interval_of
from tests.gateway.backtest.weighed import MINUTE, readings, series, settings


def test_only_values_that_rules_see_are_struck() -> None:
    given = readings(*series([1.0, 99.0, -200.0, 2.0]), *series([1.0], metric="h"))
    strict = settings(metrics={"t": {"range": [0, 50], "missing": [-200]}})
    assert [dict(each.m) for each in accepted(given, strict).samples] == [{"t": 1.0}, {"h": 1.0}, {"t": 2.0}]
    assert len(accepted(given, settings()).samples) == 5


def test_the_usual_time_between_readings() -> None:
    assert interval_of(readings(*series([1, 2, None, 3, 4])), "t") == MINUTE
    assert interval_of(readings(*series([1])), "t") == 0


def test_excerpts_have_time_around_their_onset_and_share_it() -> None:
    given = readings(*series([float(n) for n in range(100)]))
    drawn = excerpts(given, "t", before=10 * MINUTE, after=5 * MINUTE, count=20, seed=1, whole_weeks=False)
    assert len({one.onset for one in drawn}) == 1
    assert all(one.ts.tolist() == [one.onset + n * MINUTE for n in range(-10, 6)] for one in drawn)
    assert len({one.values[10] for one in drawn}) == 20
    again = excerpts(given, "t", before=10 * MINUTE, after=5 * MINUTE, count=20, seed=1, whole_weeks=False)
    assert [one.samples for one in again] == [one.samples for one in drawn]
    assert (
        len(excerpts(given, "t", before=10 * MINUTE, after=5 * MINUTE, count=999, seed=1, whole_weeks=False))
        == 85
    )


def test_the_time_of_the_week_stays_where_a_rule_asks_for_it() -> None:
    given = readings(*series([float(n) for n in range(300)], every=3_600_000))
    for one in excerpts(given, "t", before=0, after=0, count=50, seed=1, whole_weeks=True):
        true = given.start + int(one.values[0]) * 3_600_000
        assert (one.onset - true) % WEEK == 0


def test_a_copy_for_each_trial_and_one_as_it_is() -> None:
    given = readings(*series([5.0] * 10), *series([7.0] * 10, metric="h"))
    (one,) = excerpts(given, "t", before=2 * MINUTE, after=3 * MINUTE, count=1, seed=1, whole_weeks=False)
    trials = [None, Trial("bias", 2.0), Trial("dropout", 2.0 * MINUTE)]
    made, origin = copies([one], trials, given, metric="t", lasts=MINUTE, seed=1)
    assert origin == {"t0-0": (0, 0), "t1-0": (1, 0), "t2-0": (2, 0)}
    values = {
        device: [sample.m["t"] for sample in made.samples if sample.device == device and "t" in sample.m]
        for device in origin
    }
    assert values == {"t0-0": [5.0] * 6, "t1-0": [5.0, 5.0, 7.0, 5.0, 5.0, 5.0], "t2-0": [5.0] * 4}
    assert sum("h" in sample.m for sample in made.samples) == 18
    assert made.devices["t1-0"] is given.devices["d1"]
