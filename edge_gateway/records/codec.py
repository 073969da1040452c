"""Object trees as bytes: journal records and checkpoints share this one encoding.

A tree is made of dict, list or tuple, str, bytes, int of any size, float, bool, None and numpy arrays of
numeric or structured types; tuples come back as lists, arrays come back writable. MessagePack with three
extension types: an array as it lies in memory, an array with its bytes shuffled (all first bytes of the
elements, then all second bytes, …), which compresses better, and an integer beyond 64 bits.
"""

import struct
import threading
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np
import zstandard

from edge_gateway.records.window_block import WindowBlock

_ARRAY: Final = 1
_SHUFFLED: Final = 2
_LARGE_INT: Final = 3
_LEVEL: Final = 1
_LARGEST: Final = 1 << 30
_PIECE: Final = 4_096
"""Compressed bytes decompressed together, so that the plain ones are counted before they fill the memory."""
_MOST_PIECES: Final = 1_000
"""A dict with more keys is encoded in one piece."""
_MOST_IN_FIXED: Final = 15
_HEADER_BYTES: Final = (1, 3)
"""Length of a MessagePack map's header: with up to 15 keys, and with up to 65,535. A list's is as long."""
_LARGE_ARRAY: Final = 1 << 16
"""From so many bytes on an array is encoded in pieces; its headers in MessagePack then have 32 bits."""
_EXT_HEADER: Final = struct.Struct(">BIb")
_EXT_OF_32_BITS: Final = 0xC9
_BYTES_HEADER: Final = struct.Struct(">BI")
_BYTES_OF_32_BITS: Final = 0xC6
_EMPTY_BYTES: Final = b"\xc4\x00"
_BEYOND_64_BITS: Final = 1 << 64

_plain = msgspec.msgpack.Encoder()


class _Compressors(threading.local):
    """A compressor for each thread: it cannot be used by two at once, and takes long to make."""

    def __init__(self) -> None:
        self.own = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)


_compressors = _Compressors()


class UndecodableBytes(ValueError):
    """The bytes were not made by this codec, or were changed since."""


def pack(tree: Any, *, shuffle: bool = False) -> bytes:
    """Encode a tree; TypeError for what a tree cannot hold."""
    encoder = _shuffling if shuffle else _straight
    try:
        return encoder.encode(tree)
    except OverflowError:
        return encoder.encode(_with_large_ints(tree))


def unpack(data: bytes) -> Any:
    """Decode what `pack` made; UndecodableBytes otherwise."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError) as error:
        raise UndecodableBytes(str(error)) from error


def compress(data: bytes) -> bytes:
    """Zstd level 1, with the plain size in its header and a checksum behind it. Releases the GIL."""
    return _compressors.own.compress(data)


def decompress(data: bytes) -> bytes:
    """The inverse of `compress`, at most 1 GiB; UndecodableBytes otherwise."""
    try:
        size = zstandard.frame_content_size(data)
        if size > _LARGEST:
            raise UndecodableBytes(f"compressed data claims {size} bytes")
        if size < 0:
            return _decompress_unsized(data)
        return zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise UndecodableBytes(str(error)) from error


def _decompress_unsized(data: bytes) -> bytes:
    """Decompress data whose header has no plain size, as `encode_piecewise` makes it."""
    plain, frame = bytearray(), zstandard.ZstdDecompressor().decompressobj()
    for begin in range(0, len(data), _PIECE):
        plain += frame.decompress(data[begin : begin + _PIECE])
        if len(plain) > _LARGEST:
            raise UndecodableBytes(f"compressed data is beyond {_LARGEST} bytes")
    if not frame.eof or frame.unused_data:
        raise UndecodableBytes("compressed data is cut off, or followed by something else")
    return bytes(plain)


def encode(tree: Any, *, shuffle: bool = False) -> bytes:
    """A tree as compressed bytes."""
    return compress(pack(tree, shuffle=shuffle))


def encode_piecewise(tree: dict[str, Any]) -> bytes:
    """Encode a tree shuffled, piece by piece, emptying it on the way: it is never in memory twice.

    The tree's dicts are empty afterwards, but for those in its lists, so they must be the caller's own.
    """
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
    parts = [compressor.compress(piece) for piece in _pieces(tree)]
    return b"".join((*parts, compressor.flush()))


def _pieces(tree: dict[str, Any]) -> Iterator[bytes]:
    yield _plain.encode(dict.fromkeys(tree))[: _HEADER_BYTES[len(tree) > _MOST_IN_FIXED]]
    for key in list(tree):
        value = tree.pop(key)
        yield _plain.encode(key)
        if isinstance(value, dict) and len(value) <= _MOST_PIECES:
            yield from _pieces(value)
        else:
            yield from _kept_pieces(value)


def _kept_pieces(value: Any) -> Iterator[bytes]:
    """Encode what may not be emptied: only large arrays are taken apart, also those in short lists."""
    if isinstance(value, np.ndarray) and value.itemsize > 1 and value.nbytes >= _LARGE_ARRAY:
        yield from _planes(value)
    elif isinstance(value, list) and len(value) <= _MOST_IN_FIXED:
        yield _plain.encode([None] * len(value))[:1]
        for item in value:
            yield from _kept_pieces(item)
    elif isinstance(value, dict) and len(value) <= _MOST_IN_FIXED:
        yield _plain.encode(dict.fromkeys(value))[:1]
        for key, item in value.items():
            yield pack(key)
            yield from _kept_pieces(item)
    else:
        yield pack(value, shuffle=True)


def _planes(array: np.ndarray[Any, Any]) -> Iterator[bytes]:
    """Encode a large array as `_array_ext` does, shuffled, without a copy of all its bytes."""
    described = _plain.encode([_describe(array.dtype), list(array.shape), b""])[: -len(_EMPTY_BYTES)]
    start = described + _BYTES_HEADER.pack(_BYTES_OF_32_BITS, array.nbytes)
    yield _EXT_HEADER.pack(_EXT_OF_32_BITS, len(start) + array.nbytes, _SHUFFLED)
    yield start
    for plane in _as_bytes(array).T:
        yield plane.tobytes()


def decode(data: bytes) -> Any:
    """The tree that `encode` took; UndecodableBytes otherwise."""
    return unpack(decompress(data))


def _shuffled(array: np.ndarray[Any, Any]) -> bytes:
    return np.ascontiguousarray(_as_bytes(array).T).tobytes()


def _as_bytes(array: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the bytes of each element, one element a row."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).reshape(array.size, array.itemsize)


def _unshuffled(raw: bytes, dtype: np.dtype[Any]) -> bytes:
    columns = np.frombuffer(raw, np.uint8).reshape(dtype.itemsize, -1)
    return np.ascontiguousarray(columns.T).tobytes()


def _describe(dtype: np.dtype[Any]) -> Any:
    if dtype.hasobject:
        raise TypeError("an array of Python objects cannot be encoded")
    return np.lib.format.dtype_to_descr(dtype)


def _dtype_of(description: Any) -> np.dtype[Any]:
    if isinstance(description, str):
        return np.dtype(description)
    return np.lib.format.descr_to_dtype([_field_of(field) for field in description])


def _field_of(field: list[Any]) -> tuple[Any, ...]:
    name, kind, *shape = field
    described = kind if isinstance(kind, str) else [_field_of(inner) for inner in kind]
    return (tuple(name) if isinstance(name, list) else name, described, *(tuple(extent) for extent in shape))


def _array_ext(array: np.ndarray[Any, Any], *, shuffle: bool) -> msgspec.msgpack.Ext:
    description, worth = _describe(array.dtype), shuffle and array.itemsize > 1
    raw = _shuffled(array) if worth else array.tobytes()
    body = _plain.encode([description, list(array.shape), raw])
    return msgspec.msgpack.Ext(_SHUFFLED if worth else _ARRAY, body)


def _array_of(body: memoryview, *, shuffled: bool) -> np.ndarray[Any, Any]:
    description, shape, raw = msgspec.msgpack.decode(body)
    dtype = _dtype_of(description)
    return np.frombuffer(_unshuffled(raw, dtype) if shuffled else raw, dtype).reshape(shape).copy()


def _encode_other(value: Any, *, shuffle: bool) -> Any:
    if isinstance(value, np.ndarray):
        return _array_ext(value, shuffle=shuffle)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, WindowBlock):
        return value.snapshot()
    raise TypeError(f"a tree cannot hold a {type(value).__name__}")


def _decode_other(code: int, body: memoryview) -> Any:
    if code in (_ARRAY, _SHUFFLED):
        return _array_of(body, shuffled=code == _SHUFFLED)
    if code == _LARGE_INT:
        return int.from_bytes(body, "big", signed=True)
    raise ValueError(f"unknown extension type {code}")


def _with_large_ints(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _with_large_ints(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_with_large_ints(value) for value in tree]
    if isinstance(tree, int) and not -(_BEYOND_64_BITS >> 1) <= tree < _BEYOND_64_BITS:
        raw = tree.to_bytes(tree.bit_length() // 8 + 1, "big", signed=True)
        return msgspec.msgpack.Ext(_LARGE_INT, raw)
    return tree


_straight = msgspec.msgpack.Encoder(enc_hook=lambda value: _encode_other(value, shuffle=False))
_shuffling = msgspec.msgpack.Encoder(enc_hook=lambda value: _encode_other(value, shuffle=True))
_decoder = msgspec.msgpack.Decoder(ext_hook=_decode_other)
