"""Randomness as a pure function of (seed, device id, stream, tick).

There is no generator with a state: every draw is a hash of what it is for, so a device sends the same values
alone, in a fleet of ten or among 100,000. The hash is the finaliser of splitmix64 (Steele, Lea, Flood: Fast
Splittable Pseudorandom Number Generators, 2014) over a key per (seed, device, stream); ticks are the counter.

Only IEEE additions, multiplications and table look-ups stand between the hash and the value. numpy's vector
functions may give another last bit at another place of an array; these cannot.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable

U8 = NDArray[np.uint64]
I8 = NDArray[np.int64]
F8 = NDArray[np.float64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_R30, _R27, _R31, _R11 = (np.uint64(bits) for bits in (30, 27, 31, 11))
_UNIT = 2.0**-53
_CELLS = 16384


def key_of(seed: int, name: str) -> int:
    """64 bits that stand for a name (a device id, a site) under a seed."""
    digest = blake2b(name.encode(), digest_size=8, key=str(seed).encode()[:64])
    return int.from_bytes(digest.digest(), "little")


def device_keys(seed: int, ids: Iterable[str]) -> U8:
    """One key a device: u8[devices]."""
    return np.array([key_of(seed, each) for each in ids], dtype=np.uint64)


def stream_number(name: str) -> int:
    """64 bits that stand for a purpose: `temperature/noise`, `jitter`."""
    return key_of(0, name)


class Stream:
    """The draws of one purpose for all devices of a group."""

    __slots__ = ("_keys",)

    def __init__(self, keys: U8, name: str) -> None:
        """`keys` as device_keys gives them, `name` the purpose."""
        self._keys = mixed_keys(keys, name)

    def uniform(self, rows: I8, ticks: I8) -> F8:
        """f8[k] in [0, 1): one draw for each (device row, tick)."""
        return unit(counted(self._keys[rows], ticks))

    def normal(self, rows: I8, ticks: I8) -> F8:
        """f8[k] standard normal, cut off at 4.0: one draw for each (device row, tick)."""
        return normal_of(self.uniform(rows, ticks))

    def of_devices(self) -> F8:
        """f8[devices] in [0, 1): one draw a device, for what differs between devices and never changes."""
        return unit(counted(self._keys, np.zeros(len(self._keys), dtype=np.int64)))


def uniform_of(keys: U8, name: str, ticks: I8) -> F8:
    """f8[k] in [0, 1) for keys and ticks that stand side by side."""
    return unit(counted(mixed_keys(keys, name), ticks))


def mixed_keys(keys: U8, name: str) -> U8:
    """Device keys for one purpose, to be counted by ticks."""
    return _mixed(keys ^ np.uint64(stream_number(name)))


def counted(keys: U8, ticks: I8) -> U8:
    """The hash of (mixed key, tick)."""
    return _mixed(keys + ticks.astype(np.int64, copy=False).view(np.uint64) * _GOLDEN)


def unit(bits: U8) -> F8:
    """The upper 53 bits as a number in [0, 1)."""
    return (bits >> _R11).astype(np.float64) * _UNIT


def normal_of(uniform: F8) -> F8:
    """The normal quantile of each number, linear between 16,384 cells; symmetric, never beyond ±4.0."""
    quantiles, widths = _quantiles()
    scaled = uniform * _CELLS
    cell = scaled.astype(np.int64)
    value: F8 = quantiles[cell] + (scaled - cell) * widths[cell]
    return value


def _mixed(bits: U8) -> U8:
    bits = (bits ^ (bits >> _R30)) * _FIRST
    bits = (bits ^ (bits >> _R27)) * _SECOND
    mixed: U8 = bits ^ (bits >> _R31)
    return mixed


@cache
def _quantiles() -> tuple[F8, F8]:
    inverse = NormalDist().inv_cdf
    lower = [inverse(max(cell, 0.5) / _CELLS) for cell in range(_CELLS // 2)]
    edges = np.array([*lower, 0.0, *(-each for each in reversed(lower))])
    return edges[:-1], np.diff(edges)
