"""A journal record: inputs, what left the open windows with each, their effects, and who folded them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from edge_gateway.errors import OtherSpool
from edge_gateway.fold.pipeline import FOLD
from edge_gateway.journal.files import FILES, Files
from edge_gateway.journal.segments import read_unopened
from edge_gateway.records import codec
from edge_gateway.records.closings import Closings
from edge_gateway.records.inputs import Input
from edge_gateway.records.store_effects import StoreEffects
from fleet_console.version import VERSION


class Maker(msgspec.Struct, frozen=True):
    """Who made a record: the version of the fold, 0 if it has none, and of the program."""

    fold: int = 0
    by: str = ""


def record_tree(
    inputs: Sequence[Input], closings: Sequence[Closings], effects: Sequence[StoreEffects]
) -> dict[str, Any]:
    """Return a record as the journal encodes it; the sequences are equally long."""
    return {"fold": FOLD, "by": VERSION, "inputs": inputs, "closings": closings, "effects": effects}


def folds(record: Any) -> bool:
    """Return whether this program makes of a decoded record what its maker did. KeyError, TypeError: it is none."""
    return bool(record["fold"] == FOLD)


def refuse_other_fold(journal: Path, after: int, *, files: Files = FILES) -> None:
    """Raise OtherSpool if the newest record after number `after` was folded by another version. Changes nothing.

    If the newest is of this version, an older one that is not is behind a checkpoint that was damaged. No version could
    fold both, so it counts as lost.
    """
    newest = Maker(FOLD)
    for _, body in read_unopened(journal, after + 1, files=files):
        try:
            newest = msgspec.msgpack.decode(codec.decompress(body), type=Maker)
        except (codec.UndecodableBytes, msgspec.MsgspecError):
            continue  # damage, which recovery reports
    if newest.fold != FOLD:
        raise OtherSpool.of_records(journal, newest.by, newest.fold, FOLD)
