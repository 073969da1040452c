"""Run proofs and report what they found: `python -m tests.proofs NAME… | all`.

Exit status: 0 no promise broken · 1 one was · 2 usage · 3 a proof could not be run · 130 interrupted.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fleet_config.problems import suggest
from tests.proofs.catalogue import BY_NAME, PROOFS
from tests.proofs.proof import Proof
from tests.proofs.report import BROKEN, NOT_RUN, Outcome, print_report, write_json
from tests.proofs.running import Job, run_all, wide_console

FOUND, USAGE, CANNOT, INTERRUPTED = 1, 2, 3, 130
ALL = "all"
PARALLEL = 3
"""Samples that run in parallel; they mostly wait, so two processors are enough for three."""


def main(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME…|all", help="Proofs by name; none lists them.")
    ] = None,
    *,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="How often, instead of the full count.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A sample of each, minutes in all.")] = False,
    at_once: Annotated[
        int | None,
        typer.Option("--at-once", min=1, help="Proofs in parallel; 3 for samples, else 1."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed of every random choice; the report names it.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the report there.")] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Leave logs, ledgers and spools in this directory.")
    ] = None,
) -> None:
    """Break things on purpose and compare what was sent with what is stored."""
    console = wide_console()
    if not names:
        print_list(console)
        return
    proofs = chosen(console, names)
    if keep is not None and keep.exists() and any(keep.iterdir()):
        console.print(f"--keep {keep}: not empty; name a new directory")
        raise typer.Exit(USAGE)
    place = (keep or Path(tempfile.mkdtemp(prefix="proof-"))).absolute()
    jobs = [
        Job(
            proof,
            count or (proof.quick if quick else proof.full),
            secrets.randbelow(1 << 31) if seed is None else seed,
            place / proof.name,
            quick,
        )
        for proof in proofs
    ]
    outcomes: list[Outcome] = []
    interrupted = False
    try:
        with suppress(BrokenPipeError):
            outcomes.extend(run_all(jobs, place, at_once or (PARALLEL if quick else 1)))
    except KeyboardInterrupt:
        interrupted = True
    finally:
        if keep is None:
            shutil.rmtree(place, ignore_errors=True)
    print_report(console, outcomes)
    if json_file is not None:
        write_json(json_file, outcomes)
    raise typer.Exit(INTERRUPTED if interrupted else status_of(outcomes))


def print_list(console: Console) -> None:
    """List the proofs."""
    for proof in PROOFS:
        console.print(f"{proof.name:<12}{proof.says}; in full {proof.full:,} {proof.unit}", soft_wrap=True)


def chosen(console: Console, names: Sequence[str]) -> list[Proof]:
    """Return the proofs of these names, in the order of the table."""
    unknown = [name for name in names if name not in BY_NAME and name != ALL]
    for name in unknown:
        console.print(f"no proof '{name}'; known: {ALL}, {', '.join(BY_NAME)}{suggest(name, BY_NAME)}")
    if unknown:
        raise typer.Exit(USAGE)
    return [proof for proof in PROOFS if proof.name in names or ALL in names]


def status_of(outcomes: Sequence[Outcome]) -> int:
    """Return the exit status for all outcomes together."""
    verdicts = {outcome.verdict for outcome in outcomes}
    return FOUND if BROKEN in verdicts else CANNOT if NOT_RUN in verdicts else 0


if __name__ == "__main__":
    application = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    application.command()(main)
    application()
