"""Decode fleet/v1 telemetry (MessagePack) into columns.

    payloads ──▶ Telemetry structs ──▶ message columns
                        │
                        └─▶ samples ──▶ layouts ──▶ series of whole samples
                                 └────▶ values ───▶ numbers │ states │ bad values

A batch of plain numbers takes no Python per value. Anything unusual is found on whole columns and handled where it
is, so that one odd message does not slow down the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from edge_gateway.columns.frame import PERFECT, BoolColumn, FloatColumn, IntColumn, QualityColumn
from edge_gateway.columns.strings import FALSE, TRUE
from edge_gateway.columns.strings import NO_ROOM as NO_CODE
from edge_gateway.fleet.decoders.bad_values import (
    NO_METRIC,
    NO_NUMBER,
    BadReason,
    BadValues,
    joined,
    no_bad_values,
)
from edge_gateway.fleet.decoders.decoded import (
    NO_FLOOR,
    Decoded,
    Messages,
    Numbers,
    Rejected,
    Samples,
    States,
    no_states,
)
from edge_gateway.fleet.decoders.diagnosis import diagnosed
from edge_gateway.fleet.devices.layouts import BAD_LAYOUT
from edge_gateway.fleet.devices.series import NO_ROOM
from edge_gateway.fleet.limits import Refusal
from edge_gateway.fleet.registry import Registry
from edge_gateway.fleet.timestamps import NO_TIME
from fleet_wire.payload import MAX_TIME, Counter
from fleet_wire.telemetry import (
    MAX_PAYLOAD,
    TELEMETRY_DECODER,
    MalformedMessage,
    Telemetry,
    decode_telemetry,
    is_metric_name,
)

MAX_TEXT = 64
"""Most characters of a text value."""
LEAST_QUALITY = 0.5
"""Below this quality a value counts as bad: the device itself does not trust it."""

_NUMBERS = frozenset({float, int})


_Values = dict[str, Any]
_Qualities = dict[str, float] | None
_Further = list[tuple[int, _Values]] | None


class _Envelope(msgspec.Struct, gc=False):
    """The part of a message that identifies it, so that a malformed one is recognised when it is repeated."""

    boot: Counter
    seq: Counter
    v: Literal[1] = 1


_ENVELOPE_DECODER = msgspec.msgpack.Decoder(_Envelope)


@dataclass(slots=True)
class _Taken:
    """Deliveries with a usable (device, boot, seq), and those without."""

    index: IntColumn
    device: IntColumn
    message: list[Telemetry]
    refused: dict[int, str]
    rejected: list[Rejected]


def decode(registry: Registry, topics: Sequence[str], payloads: Sequence[bytes]) -> Decoded:
    """Decode a batch of deliveries; new devices, series and texts get their numbers.

    `topics` and `payloads` have equal length and are in arrival order. No payload raises.
    """
    registry.table.layouts.trim()
    taken = _take_plain(registry, topics, payloads) or _take_each(registry, topics, payloads)
    messages, maps, qualities, further = _headers(taken)
    samples, maps = _samples(messages, maps, further, taken.refused)
    layout, bad_names = _layouts(registry, maps)
    device = taken.device[samples.message]
    roomless, row, series = _series(registry, device, layout, maps)
    quality = _quality(samples, maps, qualities)
    numbers, states, bad_values = _values(registry, device, maps, _Places(row, series, quality))
    bad = joined([bad_names, roomless, bad_values])
    return Decoded(messages, samples, numbers, states, bad, taken.refused, taken.rejected)


class _Places(NamedTuple):
    """Sample, series and quality of each value of a batch, whatever the value's kind."""

    row: IntColumn
    series: IntColumn
    quality: QualityColumn

    def numbers(self, at: IntColumn | BoolColumn, value: FloatColumn) -> Numbers:
        return Numbers(self.row[at], self.series[at], value, self.quality[at])

    def states(self, at: list[int], code: list[int]) -> States:
        return States(self.row[at], self.series[at], np.array(code, np.int64), self.quality[at])


# --- deliveries into messages


def _take_plain(registry: Registry, topics: Sequence[str], payloads: Sequence[bytes]) -> _Taken | None:
    """Decode a batch of well-formed messages of known devices; None if it holds anything else."""
    device = [number for number in map(registry.device_of_topic.get, topics) if number is not None]
    if len(device) != len(payloads) or max(map(len, payloads), default=0) > MAX_PAYLOAD:
        return None
    try:
        message = list(map(TELEMETRY_DECODER.decode, payloads))
    except (ValueError, RecursionError):  # what msgspec raises for a payload that is no message
        return None
    return _Taken(np.arange(len(message)), np.array(device, np.int64), message, {}, [])


def _take_each(registry: Registry, topics: Sequence[str], payloads: Sequence[bytes]) -> _Taken:
    none = np.empty(0, np.int64)
    taken = _Taken(none, none, [], {}, [])
    places: list[tuple[int, int]] = []
    for index, (topic, payload) in enumerate(zip(topics, payloads, strict=True)):
        message, fault = _read(payload)
        known = registry.device_of_topic.get(topic, -1)
        device = known if message is None or fault else registry.device_of(topic)
        if isinstance(device, Refusal):
            taken.rejected.append(Rejected(index, -1, device.value))
        elif message is None or device < 0:
            taken.rejected.append(Rejected(index, device, fault))
        else:
            if fault:
                taken.refused[len(taken.message)] = fault
            places.append((index, device))
            taken.message.append(message)
    taken.index, taken.device = np.array(places, np.int64).reshape(-1, 2).T
    return taken


def _read(payload: bytes) -> tuple[Telemetry | None, str]:
    """Return the message and its fault; of a malformed one only the envelope, or None if even that is unusable."""
    try:
        return decode_telemetry(payload), ""
    except MalformedMessage as problem:
        fault = diagnosed(payload, str(problem))
    if len(payload) > MAX_PAYLOAD:
        return None, fault
    try:
        envelope = _ENVELOPE_DECODER.decode(payload)
    except (ValueError, RecursionError):
        return None, fault
    return Telemetry(envelope.boot, envelope.seq, {}), fault


# --- messages into samples


def _headers(taken: _Taken) -> tuple[Messages, list[_Values], list[_Qualities], list[_Further]]:
    """Return the message columns, and each message's values, qualities and further samples."""
    structs = taken.message
    messages = Messages(
        index=taken.index,
        device=taken.device,
        boot=np.array([message.boot for message in structs], np.int64),
        seq=np.array([message.seq for message in structs], np.int64),
        ts=_filled([message.ts for message in structs], NO_TIME),
        floor=_filled([message.floor for message in structs], NO_FLOOR),
    )
    maps = [message.m for message in structs]
    return messages, maps, [message.q for message in structs], [message.s for message in structs]


def _filled(column: list[int | None], absent: int) -> IntColumn:
    if None not in column:
        return np.array(column, np.int64)
    if column.count(None) == len(column):
        return np.full(len(column), absent, np.int64)
    return np.array([absent if entry is None else entry for entry in column], np.int64)


def _samples(
    messages: Messages, maps: list[_Values], further: list[_Further], refused: dict[int, str]
) -> tuple[Samples, list[_Values]]:
    """Return the samples and their values: each message's own, then its further ones."""
    if further.count(None) == len(further):
        return Samples(np.arange(len(maps)), messages.ts), maps
    all_maps: list[_Values] = []
    counts, steps = [], []
    for own, more in zip(maps, further, strict=True):
        all_maps.append(own)
        all_maps += [values for _, values in more or ()]
        steps += [0, *(step for step, _ in more or ())]
        counts.append(1 + len(more or ()))
    message = np.repeat(np.arange(len(maps)), counts)
    base = messages.ts[message]
    ts = np.where(base == NO_TIME, NO_TIME, base + np.array(steps, np.int64))
    for number in np.unique(message[ts > MAX_TIME]).tolist():
        refused.setdefault(number, "a sample's time is past 2100")
    return Samples(message, ts), all_maps


# --- samples into values


def _layouts(registry: Registry, maps: list[_Values]) -> tuple[IntColumn, BadValues]:
    """Return the layout of each sample. Values with invalid names are removed from `maps` and returned as bad."""
    layouts = registry.table.layouts
    known = list(map(layouts.known.get, map(tuple, maps)))
    bad: list[int] = []
    if None in known:
        for row in [row for row, layout in enumerate(known) if layout is None]:
            layout = layouts.number(tuple(maps[row]))
            if layout == BAD_LAYOUT:
                good = {name: value for name, value in maps[row].items() if is_metric_name(name)}
                bad += [row] * (len(maps[row]) - len(good))
                maps[row], layout = good, layouts.number(tuple(good))
            known[row] = layout
    return np.array(known, np.int64), _bad(bad, [NO_METRIC] * len(bad), [BadReason.NAME] * len(bad))


def _bad(row: Any, metric: Any, reason: Any) -> BadValues:
    return BadValues(np.array(row, np.int64), np.array(metric, np.int64), np.array(reason, np.int64))


def _series(
    registry: Registry, device: IntColumn, layout: IntColumn, maps: list[_Values]
) -> tuple[BadValues, IntColumn, IntColumn]:
    """Return row and series of every value. Values without room for a series are removed and returned as bad."""
    table = registry.table
    start, bad = table.starts(device, layout), no_bad_values()
    full = np.flatnonzero(start == NO_ROOM)
    if len(full):
        bad = _take_out_roomless(registry, device, layout, maps, full)
        start[full] = table.starts(device[full], layout[full])
    length = table.layouts.lengths[layout]
    row = np.repeat(np.arange(len(layout)), length)
    ends = np.cumsum(length)
    slot = np.repeat(start - ends + length, length)
    slot += np.arange(len(slot))
    return bad, row, table.layouts.slots[slot]


def _take_out_roomless(
    registry: Registry, device: IntColumn, layout: IntColumn, maps: list[_Values], rows: IntColumn
) -> BadValues:
    """Remove the values without room for a series from `maps` and `layout`: the rest of a message still counts."""
    table = registry.table
    at: list[int] = []
    metric: list[int] = []
    for row in rows.tolist():
        kept = table.number_as_many(int(device[row]), maps[row])
        without = [table.known_metric(name) for name in maps[row] if name not in kept]
        metric += [NO_NUMBER if one is None else one for one in without]
        at += [row] * len(without)
        maps[row] = {name: value for name, value in maps[row].items() if name in kept}
        layout[row] = table.layouts.number(tuple(maps[row]))
    registry.count_refused(BadReason.TOO_MANY_SERIES.text, len(at))
    return _bad(at, metric, [BadReason.TOO_MANY_SERIES] * len(at))


def _quality(samples: Samples, maps: list[_Values], qualities: list[_Qualities]) -> QualityColumn:
    """Return the quality of every value; a message's quality for a metric applies to all its samples."""
    if qualities.count(None) == len(qualities):
        return np.full(sum(map(len, maps)), PERFECT, np.uint16)
    found: list[int] = []
    for message, values in zip(samples.message.tolist(), maps, strict=True):
        said = qualities[message] or {}
        found += [_thousandths(said.get(name, 1.0)) for name in values]
    return np.array(found, np.uint16)


def _thousandths(quality: float) -> int:
    return round(quality * PERFECT) if LEAST_QUALITY <= quality <= 1 else 0


def _values(
    registry: Registry, device: IntColumn, maps: list[_Values], places: _Places
) -> tuple[Numbers, States, BadValues]:
    raw = list(chain.from_iterable(map(dict.values, maps)))
    if set(map(type, raw)) <= _NUMBERS:
        value = np.array(raw, np.float64)
        if np.isfinite(value).all():
            value += 0.0  # -0.0 would make first, last, min and max depend on order
            return Numbers(*places[:2], value, places.quality), no_states(), no_bad_values()
    return _sort_out(registry, device, raw, places)


def _sort_out(
    registry: Registry, device: IntColumn, raw: list[Any], places: _Places
) -> tuple[Numbers, States, BadValues]:
    """Separate numbers, states and bad values; values in `raw` that are no numbers are overwritten."""
    state_at: list[int] = []
    codes: list[int] = []
    bad_at: list[int] = []
    reasons: list[BadReason] = []
    for at in [at for at, kind in enumerate(map(type, raw)) if kind not in _NUMBERS]:
        code = _code(registry, raw[at], int(device[places.row[at]]))
        raw[at] = 0.0
        if isinstance(code, BadReason):
            bad_at.append(at)
            reasons.append(code)
        else:
            state_at.append(at)
            codes.append(code)
    value = np.array(raw, np.float64)
    is_number = np.ones(len(raw), np.bool_)
    is_number[state_at + bad_at] = False
    wild = np.flatnonzero(~np.isfinite(value)).tolist()
    is_number[wild] = False
    bad_at, reasons = bad_at + wild, reasons + [BadReason.NOT_FINITE] * len(wild)
    metric = registry.series_metric[places.series[bad_at]]
    bad = _bad(places.row[bad_at], metric, reasons)
    return places.numbers(is_number, value[is_number] + 0.0), places.states(state_at, codes), bad


def _code(registry: Registry, value: object, device: int) -> int | BadReason:
    """Return the code of a text or bool, or the reason why the value is bad."""
    match value:
        case bool():
            return TRUE if value else FALSE
        case str():
            return _text_code(registry, value, device)
        case None:
            return BadReason.MISSING
        case _:
            return BadReason.TYPE


def _text_code(registry: Registry, text: str, device: int) -> int | BadReason:
    if len(text) > MAX_TEXT:
        return BadReason.TOO_LONG
    code = registry.strings.code(text, device)
    if code != NO_CODE:
        return code
    registry.count_refused(BadReason.TOO_MANY_TEXTS.text)
    return BadReason.TOO_MANY_TEXTS
