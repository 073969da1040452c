"""`fleet-sim overlay`: files out, mistakes told."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fleet_recordings.labels import read_labels
from fleet_recordings.mapping import load_mapping, mapping_for
from fleet_recordings.reading import read_recording
from fleet_sim.cli.commands import app
from tests.recordings.written import write_uci

PLAN = """\
version: 1
faults:
- {kind: bias, metric: t, size: 4, for: 2h, onsets: 3}
- {kind: stuck, metric: rh, for: 3h}
"""


def overlay(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["overlay", *map(str, arguments)])
    text = " ".join(result.output.replace("│", " ").split())
    return result.exit_code, str(result.exception) if result.exit_code == 1 and result.exception else text


def test_options_lay_faults_and_write_labels(tmp_path: Path) -> None:
    file, out = write_uci(tmp_path / "air.csv"), tmp_path / "out.csv"
    how = ["-m", "uci", "--metric", "t", "--for", "2h", "--onsets", 2, "--seed", 3]
    status, text = overlay(file, *how, "--fault", "bias", "--fault", "stuck", "--size", 5, "-o", out)
    assert status == 0
    assert "4 faults laid over it" in text
    labels = read_labels(tmp_path / "out.labels.csv")
    assert sorted(label.kind for label in labels) == ["bias", "bias", "stuck", "stuck"]
    plain, laid = read_recording(file, load_mapping("uci")), read_recording(out, mapping_for(out, None))
    assert [each.ts for each in laid.samples] == [each.ts for each in plain.samples]
    assert laid.units == plain.units
    for before, after in zip(plain.samples, laid.samples, strict=True):
        struck = [label for label in labels if label.start <= before.ts < label.end]
        assert after.m | {"t": 0.0} == before.m | {"t": 0.0}
        if not struck:
            assert after.m["t"] == before.m["t"]
        elif struck[0].kind == "bias":
            assert after.m["t"] == before.m["t"] + 5


def test_a_plan_and_json_and_the_same_bytes_again(tmp_path: Path) -> None:
    file = write_uci(tmp_path / "air.csv")
    (tmp_path / "plan.yaml").write_text(PLAN)
    told = []
    for name in ("one.csv", "two.csv"):
        how = ["-m", "uci", "--plan", tmp_path / "plan.yaml", "--labels", tmp_path / f"{name}.l"]
        status, text = overlay(file, *how, "-o", tmp_path / name, "--json")
        assert status == 0
        told.append(json.loads(text)["faults"])
    assert told[0] == told[1]
    assert [one["kind"] for one in told[0]].count("bias") == 3
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert (tmp_path / "one.csv.l").read_bytes() == (tmp_path / "two.csv.l").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--fault", "bias", "--size", "1"], "--metric: which of ah, c6h6_gt"),
        (["--metric", "t"], "--fault: say what to lay over it"),
        (["--metric", "t", "--fault", "bais", "--size", "1"], "did you mean 'bias'?"),
        (["--metric", "t", "--fault", "bias", "--size", "1", "--for", "2"], "--for: '2' is not a duration"),
        (["--metric", "x", "--fault", "stuck"], "no device has a metric 'x'"),
        (["--plan", "p.yaml", "--fault", "stuck"], "give either a plan or --fault"),
    ],
)
def test_what_is_refused(arguments: list[str], why: str, tmp_path: Path) -> None:
    file = write_uci(tmp_path / "air.csv")
    status, text = overlay(file, "-m", "uci", *arguments, "-o", tmp_path / "out.csv")
    assert status != 0
    assert why in text
    assert not (tmp_path / "out.csv").exists()


def test_the_recording_itself_is_never_written(tmp_path: Path) -> None:
    file = write_uci(tmp_path / "air.csv")
    how = ["-m", "uci", "--metric", "t", "--fault", "stuck"]
    assert "is the recording itself" in overlay(file, *how, "-o", file)[1]
    assert "is a directory" in overlay(file, *how, "-o", tmp_path)[1]


def test_a_file_of_another_form_needs_a_mapping(tmp_path: Path) -> None:
    file = write_uci(tmp_path / "air.csv")
    assert (
        "--mapping: say which columns are what"
        in overlay(file, "--fault", "stuck", "-o", tmp_path / "o.csv")[1]
    )
