"""The p95 of a window: exact for few values, within 1 % for many, the same for every order of arrival.

Up to 64 values are kept as they are, and the p95 is the nearest-rank one: the ⌈0.95·n⌉-th smallest. From the
65th value on, all are only counted, in logarithmic buckets `[2^(i/35), 2^((i+1)/35))` of their magnitude, 2 %
wide, as in DDSketch (Masson, Rim, Lee: "DDSketch", VLDB 2019). The p95 is then the middle of the bucket that
holds the rank, less than 1 % from the true value. Only the 1,024 highest buckets in use are kept separate;
lower values count into the lowest of these. A sketch depends only on its values, so sketches merge in any
order.
"""

import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

EXACT: Final = 64
PER_OCTAVE: Final = 35
MOST_BUCKETS: Final = 1_024
_OFFSET: Final = 1_100 * PER_OCTAVE
"""Makes every bucket number positive, so that it can carry the sign of the value."""
_EDGES: Final = 2.0 ** (np.arange(PER_OCTAVE + 1) / PER_OCTAVE - 1.0)
_HEAD: Final = struct.Struct("<H")
_BUCKET: Final = struct.Struct("<iq")


def rank95(count: int) -> int:
    """Return the 0-based position of the p95 among `count` sorted values."""
    return (95 * count + 99) // 100 - 1


def buckets_of(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bucket number of each value; they sort like the values, and 0.0 has number 0."""
    mantissa, exponent = np.frexp(np.abs(values))
    within = np.searchsorted(_EDGES, mantissa, side="right") - 1
    number = exponent * PER_OCTAVE + within + _OFFSET
    return np.where(values == 0.0, 0, np.where(values < 0.0, -number, number)).astype(np.int64)


def middle(bucket: int) -> float:
    """Return the value that represents a bucket, less than 1 % from every value in it."""
    if bucket == 0:
        return 0.0
    exponent, within = divmod(abs(bucket) - _OFFSET, PER_OCTAVE)
    low, high = float(_EDGES[within]), float(_EDGES[within + 1])
    size = float(np.ldexp(2.0 * low * high / (low + high), exponent))
    return size if bucket > 0 else -size


@dataclass(frozen=True, slots=True)
class Sketch:
    """Either the sorted values or the number of values in each bucket."""

    values: tuple[float, ...] = ()
    buckets: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Self:
        """Sketch values in any order."""
        if len(values) <= EXACT:
            return cls(tuple(np.sort(values).tolist()))
        numbers, counts = np.unique(buckets_of(values), return_counts=True)
        return cls((), _highest(zip(numbers.tolist(), counts.tolist(), strict=True)))

    @property
    def count(self) -> int:
        return len(self.values) + sum(self.buckets.values())

    def merged(self, other: Self) -> Self:
        """Return the sketch of the values of both."""
        if not (self.buckets or other.buckets):
            return type(self).of(np.array(self.values + other.values))
        total = Counter(self._counted())
        total.update(other._counted())
        return type(self)((), _highest(total.items()))

    def _counted(self) -> dict[int, int]:
        return self.buckets or Counter(buckets_of(np.array(self.values)).tolist())

    def p95(self) -> float:
        """Return the p95; NaN without values."""
        if self.values:
            return self.values[rank95(len(self.values))]
        left = rank95(self.count)
        for bucket, count in sorted(self.buckets.items()):
            if left < count:
                return middle(bucket)
            left -= count
        return float("nan")

    def pack(self) -> bytes:
        """Return bytes, little-endian: u16 count of values, values, then (i32 bucket, i64 count) pairs."""
        pairs = b"".join(_BUCKET.pack(*pair) for pair in sorted(self.buckets.items()))
        return _HEAD.pack(len(self.values)) + struct.pack(f"<{len(self.values)}d", *self.values) + pairs

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        (count,) = _HEAD.unpack_from(data)
        values = struct.unpack_from(f"<{count}d", data, _HEAD.size)
        return cls(values, dict(_BUCKET.iter_unpack(data[_HEAD.size + 8 * count :])))


def _highest(buckets: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Keep the MOST_BUCKETS highest buckets and count the rest into the lowest of them."""
    ordered = sorted(buckets, reverse=True)
    kept = dict(ordered[:MOST_BUCKETS])
    if len(ordered) > MOST_BUCKETS:
        kept[ordered[MOST_BUCKETS - 1][0]] += sum(count for _, count in ordered[MOST_BUCKETS:])
    return kept
