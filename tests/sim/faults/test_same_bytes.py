"""A seed gives the same bytes in every version: what a run sends, records and asks of the network is pinned.

After a change that is meant, write the new digests: `python -m tests.sim.faults.test_same_bytes`.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from fleet_sim.faults.kinds import PhaseActions
from tests.sim.faults.seeded_run import digest, run

FILE = Path(__file__).parents[2] / "cases" / "faults" / "digests.json"
SETTINGS = {
    "spike": "metric: flow, by: 50, p: 0.2",
    "stuck": "metric: door, after: 10s, for: 20s",
    "drift": "metric: flow, per_hour: 360",
    "bias": "metric: flow, by: 3, after: 5s, for: 30s, match: {share: 50%}",
    "noise": "metric: flow, deviation: 2",
    "dropout": "metric: door, p: 0.3",
    "nan": "metric: flow, p: 0.3",
    "out_of_range": "metric: flow, value: 999, p: 0.2",
    "missing_code": "metric: flow, p: 0.2",
    "unit_mix_up": "metric: flow, match: {site: lyon}",
    "heat_up": "metric: air, after: 5s, for: 30s, match: {share: 50%}",
    "event": "metric: flow, to: 99, rise: 5s, after: 10s, for: 20s",
    "disconnect": "after: 3s",
    "storm": "times: 3, every: 10s, after: 3s, match: {share: 50%}",
    "offline": "after: 10s, for: 10s",
    "flap": "every: 8s, down: 3s, for: 30s",
    "delay": "by: 300ms, for: 10s",
    "bandwidth": "bytes_per_second: 1000, for: 10s",
    "black_hole": "after: 5s, for: 10s",
    "reboot": "after: 20s, takes: 2s",
    "crash": "after: 20s, takes: 2s",
    "battery_death": "after: 20s, for: 10s",
    "duplicate": "p: 0.2",
    "reorder": "p: 0.1, by: 2",
    "late_batch": "hold: 5s, after: 5s, for: 30s",
    "clock_skew": "offset: 90s, drift: 5ms/m, match: {share: 50%}",
    "clock_jump": "by: -5s, after: 10s, for: 10s",
    "wrong_type": "p: 0.2",
    "truncated": "p: 0.2",
    "random": "p: 0.2",
    "oversize": "p: 0.2, size: 300B",
}
CASES = {kind: f"- {{kind: {kind}, {words}}}" for kind, words in SETTINGS.items()}
CASES["wrong_type_of_one"] = "- {kind: wrong_type, metric: flow, p: 0.2}"
CASES["all_at_once"] = "\n".join(CASES.values())
CASES["twice_the_same"] = "\n".join(
    [CASES["duplicate"], "- {kind: duplicate, p: 0.9}", CASES["reorder"], "- {kind: reorder, p: 0.5, by: 5}"]
)


def test_every_kind_is_pinned() -> None:
    assert {"late_batch", "clock_jump"} <= PhaseActions.model_fields.keys() <= SETTINGS.keys()


@pytest.mark.parametrize("case", CASES)
def test_the_same_seed_gives_the_same_bytes(case: str, tmp_path: Path) -> None:
    assert digest(run(CASES[case], tmp_path / "run")) == json.loads(FILE.read_text())[case]


if __name__ == "__main__":
    digests = {}
    for case, faults in CASES.items():
        with TemporaryDirectory() as place:
            digests[case] = digest(run(faults, Path(place) / "run"))
    FILE.write_text(json.dumps(digests, indent=1) + "\n")
