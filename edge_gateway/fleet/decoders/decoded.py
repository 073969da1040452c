"""One decoded batch as columns, independent of the wire format."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_gateway.columns.frame import BoolColumn, FloatColumn, IntColumn, QualityColumn
from edge_gateway.fleet.decoders.bad_values import BadValues

NO_FLOOR = -1


@dataclass(slots=True)
class Rejected:
    """A delivery without a usable (device, boot, seq); `device` is -1 if it is not known."""

    index: int
    device: int
    reason: str


@dataclass(slots=True)
class Messages:
    """One entry per message, in arrival order."""

    index: IntColumn
    """Position in the batch."""
    device: IntColumn
    boot: IntColumn
    seq: IntColumn
    ts: IntColumn
    """Device time, ms; NO_TIME if the message has none."""
    floor: IntColumn
    """Lowest seq the device still holds; NO_FLOOR if the message does not say."""


@dataclass(slots=True)
class Samples:
    """One entry per sample: a message's own, then its further ones. `message` is ascending, `ts` is ms or NO_TIME."""

    message: IntColumn
    ts: IntColumn


@dataclass(slots=True)
class Numbers:
    """One entry per number, in ascending order of `row` (its sample).

    Quality is in thousandths, 500 to 1000; 0 if the device does not trust its own value.
    """

    row: IntColumn
    series: IntColumn
    value: FloatColumn
    quality: QualityColumn


@dataclass(slots=True)
class States:
    """One entry per text or bool, in ascending order of `row` (its sample)."""

    row: IntColumn
    series: IntColumn
    code: IntColumn
    quality: QualityColumn


@dataclass(slots=True)
class Decoded:
    """A batch in columns.

    `refused` holds messages with a usable (device, boot, seq) but invalid content: they are quarantined, and count as
    stored if they are new.
    """

    messages: Messages
    samples: Samples
    numbers: Numbers
    states: States
    bad: BadValues
    refused: dict[int, str]
    """By message (not by position in the batch), the reason."""
    rejected: list[Rejected]


def no_states() -> States:
    none = np.empty(0, np.int64)
    return States(none, none, none, np.empty(0, np.uint16))


def renumbered(decoded: Decoded, position: Sequence[int]) -> Decoded:
    """Number what was decoded from a part of a batch, in place, by where in the batch it was (`position`)."""
    decoded.messages.index = np.array(position, np.int64)[decoded.messages.index]
    for one in decoded.rejected:
        one.index = position[one.index]
    return decoded


def only(decoded: Decoded, keep: BoolColumn) -> Decoded:
    """Return the messages in `keep` with their samples and values, renumbered; rejected deliveries stay."""
    if keep.all():
        return decoded
    samples, old = decoded.samples, decoded.messages
    sample_kept = keep[samples.message]
    message_at, sample_at = np.cumsum(keep) - 1, np.cumsum(sample_kept) - 1
    number, state, bad = (sample_kept[part.row] for part in (decoded.numbers, decoded.states, decoded.bad))
    numbers, states = decoded.numbers, decoded.states
    return Decoded(
        messages=Messages(
            old.index[keep], old.device[keep], old.boot[keep], old.seq[keep], old.ts[keep], old.floor[keep]
        ),
        samples=Samples(message_at[samples.message[sample_kept]], samples.ts[sample_kept]),
        numbers=Numbers(
            sample_at[numbers.row[number]],
            numbers.series[number],
            numbers.value[number],
            numbers.quality[number],
        ),
        states=States(
            sample_at[states.row[state]], states.series[state], states.code[state], states.quality[state]
        ),
        bad=BadValues(sample_at[decoded.bad.row[bad]], decoded.bad.metric[bad], decoded.bad.reason[bad]),
        refused={int(message_at[message]): why for message, why in decoded.refused.items() if keep[message]},
        rejected=decoded.rejected,
    )
