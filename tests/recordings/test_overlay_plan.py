"""Plans of faults: which devices, when, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_config.problems import ProblemsFound
from fleet_config.validation import validate
from fleet_config.yaml_source import load_yaml
from fleet_recordings.overlay_plan import OverlayFault, OverlayPlan, planned
from fleet_recordings.reading import RecordedSample, Recording

MINUTE = 60_000


def recording(count: int = 600, *devices: str) -> Recording:
    names = devices or ("a",)
    about = dict.fromkeys(names, "plant")
    samples = [RecordedSample(n * MINUTE, name, {"t": 1.0}, None) for n in range(count) for name in names]
    units: dict[str, dict[str, str | None]] = {name: {"t": None, "gone": None} for name in names}
    return Recording(samples, units, sites=about, types=about, tags={names[0]: {"line": "L1"}})


def fault(**keys: Any) -> OverlayFault:
    return OverlayFault.model_validate({"kind": "bias", "metric": "t", "size": 1, "for": "5m", **keys})


@given(st.integers(1, 40), st.integers(0, 5))
def test_onsets_are_readings_and_keep_apart(onsets: int, seed: int) -> None:
    labels = planned(recording(), [fault(onsets=onsets), fault(kind="stuck", size=None)], seed, "plan")
    assert len(labels) == onsets + 1
    assert all(label.start % MINUTE == 0 for label in labels)
    ends = [label.end for label in labels]
    assert all(after.start >= end for end, after in zip(ends, labels[1:], strict=False))
    assert labels == planned(
        recording(), [fault(onsets=onsets), fault(kind="stuck", size=None)], seed, "plan"
    )


def test_another_seed_draws_other_times() -> None:
    drawn = {tuple(planned(recording(), [fault(onsets=3)], seed, "plan")) for seed in range(5)}
    assert len(drawn) == 5


def test_a_fault_on_those_that_match_at_a_given_time() -> None:
    two = recording(60, "a", "b")
    at = fault(at="1970-01-01T00:10:00Z", match={"line": "L1"}, rule="TooWarm")
    (label,) = planned(two, [at], 0, "plan")
    assert (label.device, label.start, label.end, label.rule) == ("a", 600_000, 900_000, "TooWarm")
    assert {each.device for each in planned(two, [fault()], 0, "plan")} == {"a", "b"}


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"metric": "temp"}, "bias: no device has a metric 'temp'; one of t"),
        ({"match": {"site": "moon"}}, "bias: no device with the metric 't' matches"),
        ({"onsets": 100}, "100 faults of up to 5m do not fit into the 9h59m of t of a"),
    ],
)
def test_what_cannot_be_laid(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(ProblemsFound, match=why):
        planned(recording(), [fault(**keys)], 0, "plan")


def test_faults_at_given_times_must_not_overlap() -> None:
    pair = [fault(at="1970-01-01T00:10:00"), fault(at="1970-01-01T00:14:00")]
    with pytest.raises(ProblemsFound, match="bias and bias of t of a overlap"):
        planned(recording(), pair, 0, "plan")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{kind: offset, metric: t, size: 1}", "'bias' is what comes of it here"),
        ("{kind: stuc, metric: t}", "did you mean 'stuck'?"),
        ("{kind: stuck, metric: t, size: 1}", "say with 'for' how long it lasts"),
        ("{kind: bias, metric: t}", "needs one, in the unit of t"),
        ('{kind: bias, metric: t, size: 1, at: "noon"}', "'noon' is not a time"),
        ('{kind: bias, metric: t, size: 1, at: "2026-01-01", onsets: 2}', "give either 'at' or 'onsets'"),
        ("{kind: bias, metric: t, size: 1, at: 12}", "'12' is not a time"),
    ],
)
def test_mistakes_of_a_plan_have_their_place(line: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(f"version: 1\nfaults:\n- {line}\n")
    with pytest.raises(ProblemsFound) as found:
        validate(OverlayPlan, load_yaml(tmp_path / "plan.yaml"))
    assert "plan.yaml:3:" in str(found.value)
    assert why in str(found.value)


def test_kinds_with_a_usual_size_need_none() -> None:
    assert fault(kind="missing_code", size=None).magnitude == -200.0
    assert fault(kind="stuck", size=None).magnitude is None
