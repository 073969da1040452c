"""`fleet-sim overlay`: labelled faults over a recording of real readings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fleet_config.counting import counted
from fleet_config.durations import format_duration, parse_duration
from fleet_console.drawing import Line, Table
from fleet_console.terminal import say, say_json
from fleet_recordings.faults import KINDS
from fleet_sim.cli import options as given
from fleet_sim.cli.replaying import MAPPING_HELP, describe

if TYPE_CHECKING:
    from fleet_recordings.labels import Label
    from fleet_recordings.overlay_plan import OverlayFault
    from fleet_recordings.reading import Recording


def overlay(
    file: Annotated[Path, typer.Argument(metavar="RECORDING.csv")],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="The recording to write.")],
    mapping: Annotated[str | None, typer.Option("--mapping", "-m", help=MAPPING_HELP)] = None,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", help=f"A kind, repeated as needed: {', '.join(KINDS)}.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", help="The metric that is struck; the only one by default.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="A glob of the devices that are struck.")] = "*",
    size: Annotated[
        float | None, typer.Option("--size", help="In the metric's unit; of drift in that per hour.")
    ] = None,
    lasts: Annotated[str, typer.Option("--for", help="How long each lasts.")] = "1h",
    onsets: Annotated[int, typer.Option("--onsets", min=1, help="How many of each kind on a device.")] = 1,
    plan: Annotated[
        Path | None, typer.Option("--plan", help="A YAML file of faults, instead of these options.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Draws the times and the noise.")] = 0,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="The labels to write; OUT.labels.csv by default.")
    ] = None,
    as_json: given.JsonOption = False,
) -> None:
    """Lay labelled faults over a recording of real readings.

    Writes the recording with the faults, in the form of the mapping `plain`, which `replay` and `edge-gateway rules
    backtest` read, and a CSV file of labels. The same recording, faults and seed give the same files.
    """
    from dataclasses import replace

    from fleet_recordings.labels import write_labels
    from fleet_recordings.mapping import mapping_for
    from fleet_recordings.overlay import laid_over
    from fleet_recordings.overlay_plan import planned
    from fleet_recordings.reading import read_recording
    from fleet_recordings.writing import write_plain

    beside = labels or out.with_name(f"{out.name.removesuffix('.csv')}.labels.csv")
    _check_places(file, out, beside)
    recording = read_recording(file, mapping_for(file, mapping))
    if plan is not None:
        if fault:
            raise typer.BadParameter("--plan: give either a plan or --fault, not both")
        chosen, source = _plan(plan), str(plan)
    else:
        about = {"metric": _metric(metric, recording), "match": {"device": device}, "for": lasts}
        chosen, source = _by_options(fault or [], {**about, "size": size, "onsets": onsets}), "--fault"
    laid = planned(recording, chosen, seed, source)
    write_plain(out, replace(recording, samples=laid_over(recording.samples, laid, seed)))
    write_labels(beside, laid)
    if as_json:
        say_json({"recording": str(out), "labels": str(beside), "faults": [_as_dict(each) for each in laid]})
        return
    say(Line(describe(recording)), _table(laid), Line(f"{out}, labels in {beside}"))


def _check_places(file: Path, *outputs: Path) -> None:
    """BadParameter: an output is the recording itself, or cannot be a file."""
    for output in outputs:
        if output.resolve() == file.resolve():
            raise typer.BadParameter(f"--out: {output} is the recording itself; name another file")
        if output.is_dir() or not output.absolute().parent.is_dir():
            raise typer.BadParameter(f"--out: {output} is a directory, or its directory does not exist")


def _plan(file: Path) -> Sequence[OverlayFault]:
    from fleet_config.validation import validate
    from fleet_config.yaml_source import load_yaml
    from fleet_recordings.overlay_plan import OverlayPlan

    return validate(OverlayPlan, load_yaml(file)).faults


def _metric(name: str | None, recording: Recording) -> str:
    metrics = sorted({metric for units in recording.units.values() for metric in units})
    if name is None and len(metrics) > 1:
        raise typer.BadParameter(f"--metric: which of {', '.join(metrics)}?")
    return metrics[0] if name is None else name


def _by_options(kinds: Sequence[str], about: dict[str, Any]) -> list[OverlayFault]:
    from pydantic import ValidationError

    from fleet_config.explain import explain
    from fleet_recordings.overlay_plan import OverlayFault

    if not kinds:
        raise typer.BadParameter(f"--fault: say what to lay over it: {', '.join(KINDS)}")
    try:
        parse_duration(about["for"])
        return [
            OverlayFault.model_validate({**about, "kind": kind, **_no_size(kind, kinds)}) for kind in kinds
        ]
    except ValidationError as error:
        first = error.errors()[0]
        raise typer.BadParameter(explain(OverlayFault, first, first["loc"])) from None
    except ValueError as error:
        raise typer.BadParameter(f"--for: {error}") from None


def _no_size(kind: str, kinds: Sequence[str]) -> dict[str, None]:
    """Return the size of a kind that has none, where --size is meant for others beside it."""
    from fleet_recordings.faults import OF_DURATION

    return {"size": None} if kind in OF_DURATION and not set(kinds) <= {*OF_DURATION} else {}


def _as_dict(label: Label) -> dict[str, Any]:
    from fleet_recordings.labels import iso

    return {
        **{name: getattr(label, name) for name in ("device", "metric", "kind", "size", "rule")},
        "start": iso(label.start),
        "end": iso(label.end),
    }


def _table(laid: Sequence[Label]) -> Table:
    """Return a row for each kind, metric, size and duration."""
    table = Table(("fault", "metric", "size", "lasts", "devices", "onsets"))
    groups = Counter((one.kind, one.metric, one.size, one.end - one.start) for one in laid)
    for (kind, metric, size, lasts), onsets in sorted(groups.items(), key=str):
        devices = {one.device for one in laid if (one.kind, one.metric) == (kind, metric)}
        shown = "" if size is None else f"{size:g}"
        table.add(kind, metric, shown, format_duration(lasts), f"{len(devices):,}", f"{onsets:,}")
    table.title = f"{counted(len(laid), 'fault')} laid over it"
    return table
