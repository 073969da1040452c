"""Encodes the telemetry of a group: messages of one shape are constants with numbers in between.

The output equals that of `fleet_wire.telemetry.encode_telemetry`, which encodes the first message of every shape; the
positions of the numbers are found in it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from struct import Struct
from typing import Any, Final, Protocol, Self

import msgpack

from fleet_wire.telemetry import encode_telemetry

__all__ = ["Columns", "TelemetryEncoder"]

UNSIGNED: Final = (
    (0x80, "B", b""),
    (0x100, "B", b"\xcc"),
    (0x1_0000, "H", b"\xcd"),
    (0x1_0000_0000, "I", b"\xce"),
    (0x1_0000_0000_0000_0000, "Q", b"\xcf"),
)
"""Where msgpack's unsigned integers end, how struct writes them, and the byte before them."""
SIGNED: Final = -1
FLOAT: Final = ("d", b"\xcb")

Key = tuple[Hashable, ...]


class Columns(Protocol):
    """What k devices measured, as far as it is used here; see `fleet_sim.signals.group.Sample`."""

    @property
    def columns(self) -> Mapping[str, list[Any]]: ...

    @property
    def quality(self) -> Mapping[str, list[float]]: ...

    def shapes(self) -> Iterator[Sequence[Hashable]]: ...

    def take(self, rows: Sequence[int]) -> Self: ...

    def messages(self) -> list[dict[str, Any]]: ...

    def qualities(self) -> list[dict[str, float] | None]: ...


class TelemetryEncoder:
    """Encodes the messages of one group; remembers every shape it has met."""

    def __init__(self) -> None:
        self._shapes: dict[Key, Shape] = {}

    def encode(
        self, boots: Sequence[int], seqs: Sequence[int], ts: Sequence[int], sample: Columns
    ) -> list[bytes]:
        """Return one payload for each row of the sample, which must not be empty."""
        keys: list[Key] = list(zip(widths(boots), widths(seqs), widths(ts), *sample.shapes(), strict=False))
        if keys.count(keys[0]) == len(keys):
            return self._alike(keys[0], boots, seqs, ts, sample)
        rows_of: dict[Key, list[int]] = {}
        for row, key in enumerate(keys):
            rows_of.setdefault(key, []).append(row)
        payloads = [b""] * len(keys)
        for key, rows in rows_of.items():
            chosen = sample.take(rows)
            boots_of, seqs_of, ts_of = ([column[row] for row in rows] for column in (boots, seqs, ts))
            for row, payload in zip(rows, self._alike(key, boots_of, seqs_of, ts_of, chosen), strict=True):
                payloads[row] = payload
        return payloads

    def _alike(
        self, key: Key, boots: Sequence[int], seqs: Sequence[int], ts: Sequence[int], sample: Columns
    ) -> list[bytes]:
        if SIGNED in key[:3]:
            contents = zip(boots, seqs, ts, sample.messages(), sample.qualities(), strict=True)
            return [encode_telemetry(boot, seq, at, m, q=q) for boot, seq, at, m, q in contents]
        shape = self._shapes.get(key)
        if shape is None:
            first = encode_telemetry(boots[0], seqs[0], ts[0], sample.messages()[0], q=sample.qualities()[0])
            shape = self._shapes[key] = shape_of(first)
        return shape.filled((boots, seqs, ts), sample.columns, sample.quality)


def widths(numbers: Sequence[int]) -> Iterable[int]:
    """Which of msgpack's integers holds each number; SIGNED for a negative one."""
    least, most = width(min(numbers)), width(max(numbers))
    return repeat(least, len(numbers)) if least == most else map(width, numbers)


def width(number: int) -> int:
    if number < 0:
        return SIGNED
    return next(index for index, (end, _, _) in enumerate(UNSIGNED) if number < end)


@dataclass(frozen=True, slots=True)
class Shape:
    """Messages that differ in numbers only.

    `constants` stand before each number and after the last; the numbers are those of the envelope, of the metrics
    `measured` and the qualities `doubted`, in this order.
    """

    pack: Struct
    constants: tuple[bytes, ...]
    measured: tuple[str, ...]
    doubted: tuple[str, ...]

    def filled(
        self,
        envelope: Sequence[Sequence[int]],
        values: Mapping[str, Sequence[float]],
        qualities: Mapping[str, Sequence[float]],
    ) -> list[bytes]:
        """One message for each row of the columns."""
        numbers: list[Sequence[float]] = [
            *envelope,
            *(values[name] for name in self.measured),
            *(qualities[name] for name in self.doubted),
        ]
        parts: list[Iterable[Any]] = []
        for constant, column in zip(self.constants, numbers, strict=False):
            parts += (repeat(constant), column)
        return list(map(self.pack.pack, *parts, repeat(self.constants[-1])))


class _Outline:
    """Walks through a message and notes what comes before each of its numbers."""

    def __init__(self) -> None:
        self.form = ">"
        self.constants: list[bytes] = []
        self._open = b""
        self._packer = msgpack.Packer()

    def map_of(self, count: int) -> None:
        self._open += self._packer.pack_map_header(count)

    def constant(self, value: Any) -> None:
        self._open += self._packer.pack(value)

    def number(self, code: str, lead: bytes) -> None:
        self.close(lead)
        self.form += code

    def close(self, lead: bytes = b"") -> None:
        self.constants.append(self._open + lead)
        self.form += f"{len(self.constants[-1])}s"
        self._open = b""

    def numbers_in(self, found: Mapping[str, Any]) -> tuple[str, ...]:
        """Go through a map of metrics; gives the names of those that are numbers."""
        self.map_of(len(found))
        for name, value in found.items():
            self.constant(name)
            if isinstance(value, float):
                self.number(*FLOAT)
            else:
                self.constant(value)
        return tuple(name for name, value in found.items() if isinstance(value, float))


def shape_of(payload: bytes) -> Shape:
    """Find where the numbers of a message are; all else, words included, is its shape."""
    message, outline = msgpack.unpackb(payload), _Outline()
    names: dict[str, tuple[str, ...]] = {}
    outline.map_of(len(message))
    for key, value in message.items():
        outline.constant(key)
        if key in {"boot", "seq", "ts"}:
            outline.number(*UNSIGNED[width(value)][1:])
        elif isinstance(value, dict):
            names[key] = outline.numbers_in(value)
        else:
            outline.constant(value)
    outline.close()
    return Shape(Struct(outline.form), tuple(outline.constants), names["m"], names.get("q", ()))
