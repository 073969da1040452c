"""Snapshots to bytes and back, as a checkpoint does it."""

from typing import Any

import msgpack
import numpy as np


def packed(state: Any) -> bytes:
    """Return a snapshot as bytes; equal bytes are equal states, bit for bit."""
    return bytes(msgpack.packb(state, default=_array))


def unpacked(payload: bytes) -> Any:
    return msgpack.unpackb(payload, ext_hook=_from_array, strict_map_key=False)


def types(state: Any) -> Any:
    """Return a snapshot with the type of each array in its place, and nothing else."""
    if isinstance(state, dict):
        return {name: types(one) for name, one in state.items() if isinstance(one, dict | np.ndarray)}
    return state.dtype


def _array(value: object) -> msgpack.ExtType:
    assert isinstance(value, np.ndarray)
    return msgpack.ExtType(1, msgpack.packb([value.dtype.str, list(value.shape), value.tobytes()]))


def _from_array(code: int, payload: bytes) -> np.ndarray[Any, Any]:
    assert code == 1
    dtype, shape, content = msgpack.unpackb(payload)
    return np.frombuffer(content, dtype).reshape(shape).copy()
