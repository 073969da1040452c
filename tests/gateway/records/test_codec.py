import random
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge_gateway.records import codec
from edge_gateway.records.window_block import WINDOW_ROW

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=12,
).filter(lambda tree: not has_large_key(tree))


def has_large_key(tree: Any) -> bool:
    if isinstance(tree, dict):
        return any(isinstance(k, int) and not -(2**63) <= k < 2**63 for k in tree) or any(
            has_large_key(value) for value in tree.values()
        )
    return isinstance(tree, list) and any(has_large_key(value) for value in tree)


@given(tree=trees, shuffle=st.booleans())
def test_trees_come_back_equal(tree: Any, shuffle: bool) -> None:
    assert codec.decode(codec.encode(tree, shuffle=shuffle)) == tree


dtypes = st.sampled_from(["i8", "f8", "u2", "?", "<u4", "S3", "f4"]) | hnp.array_dtypes(
    st.sampled_from([np.dtype("i8"), np.dtype("f8"), np.dtype("u1")]), min_size=1, max_size=4
)


@settings(max_examples=150)
@given(
    array=dtypes.flatmap(lambda kind: hnp.arrays(np.dtype(kind), hnp.array_shapes(min_dims=0, min_side=0))),
    shuffle=st.booleans(),
)
def test_arrays_come_back_bit_for_bit(array: np.ndarray[Any, Any], shuffle: bool) -> None:
    back = codec.decode(codec.encode({"a": [array]}, shuffle=shuffle))["a"][0]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()
    assert back.flags.writeable


def test_views_scalars_and_tuples_are_taken_by_value() -> None:
    array = np.arange(20).reshape(4, 5)[::2, 1::2]
    back = codec.unpack(codec.pack({"view": array, "n": np.int64(7), "x": np.float64(0.5), "t": (1, "a")}))
    assert back["view"].tolist() == array.tolist()
    assert back["n"] == 7
    assert back["x"] == 0.5
    assert back["t"] == [1, "a"]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (object(), "a tree cannot hold a object"),
        ({"a": print}, "a tree cannot hold a builtin_function_or_method"),
        (np.array([object()]), "an array of Python objects cannot be encoded"),
    ],
)
@pytest.mark.parametrize("shuffle", [False, True])
def test_what_a_tree_cannot_hold_is_refused(value: Any, why: str, shuffle: bool) -> None:
    with pytest.raises(TypeError) as caught:
        codec.pack(value, shuffle=shuffle)
    assert str(caught.value) == why


def test_only_integers_beyond_64_bits_need_an_extension_type() -> None:
    usual, large = [-(2**63), 2**64 - 1], [-(2**63) - 1, 2**64, 2**71, -(2**71)]
    *plain, first, second, third, fourth = msgspec.msgpack.decode(codec.pack([*usual, *large]))
    assert plain == usual
    assert {type(one) for one in (first, second, third, fourth)} == {msgspec.msgpack.Ext}
    assert [len(one.data) for one in (first, second, third, fourth)] == [9, 9, 10, 10]
    assert codec.unpack(codec.pack([*usual, *large])) == [*usual, *large]
    assert codec.unpack(codec.pack({"a": (True, large[0])})) == {"a": [True, large[0]]}


@pytest.mark.parametrize("array", [np.zeros(3, np.bool_), np.zeros(3, np.int8), np.zeros(3, "S1")])
def test_single_bytes_are_not_shuffled(array: np.ndarray[Any, Any]) -> None:
    assert codec.pack(array, shuffle=True) == codec.pack(array)


def test_shuffled_all_first_bytes_come_first() -> None:
    packed = codec.pack(np.array([0x0102, 0x0304], ">u2"), shuffle=True)
    assert b"\x01\x03\x02\x04" in packed
    assert b"\x01\x02\x03\x04" in codec.pack(np.array([0x0102, 0x0304], ">u2"))


@given(data=st.binary(max_size=60))
def test_foreign_bytes_raise_one_error(data: bytes) -> None:
    for read in (codec.unpack, codec.decode):
        try:
            read(data)
        except codec.UndecodableBytes:
            continue


def test_shuffling_shrinks_what_a_checkpoint_holds() -> None:
    state = {"at": np.arange(5000, dtype=np.int64) * 1000 + 1_700_000_000_000}
    assert len(codec.encode(state, shuffle=True)) < len(codec.encode(state)) / 2


@given(st.dictionaries(st.text(max_size=3), trees, max_size=20))
def test_a_tree_that_is_encoded_piece_by_piece_gives_the_same_bytes(tree: dict[str, Any]) -> None:
    tree = {"columns": {"a": np.arange(5), "b": {}}, **tree}
    whole = codec.pack(tree, shuffle=True)
    assert codec.decompress(codec.encode_piecewise(tree)) == whole
    assert tree == {}


LARGE = (
    np.arange(8_191),
    np.arange(8_192),
    np.arange(40_000)[::2],
    np.arange(60_000, dtype=np.float32).reshape(3, 4, 5_000),
    np.zeros(70_000, np.uint8),
    np.full(1_000, 7, WINDOW_ROW),
)
"""Arrays of about the size from which on they are encoded in pieces, and of all kinds."""


@pytest.mark.parametrize("array", LARGE, ids=lambda array: f"{array.dtype.kind}{array.shape}")
@pytest.mark.parametrize(
    "around",
    [
        lambda array: array,
        lambda array: [array, 1, [array]],
        lambda array: [{"rows": array, "tails": {}}, [], {}],
        lambda array: [array] * 16,
        lambda array: {str(number): array for number in range(16)},
        lambda array: [{str(number): array for number in range(16)}],
        lambda array: (array, {"a": array}),
    ],
)
def test_large_arrays_are_encoded_in_pieces_to_the_same_bytes(
    array: np.ndarray[Any, Any], around: Callable[[Any], Any]
) -> None:
    tree = {"a": around(array), "b": 1}
    whole = codec.pack(tree, shuffle=True)
    assert codec.decompress(codec.encode_piecewise(tree)) == whole


@pytest.mark.parametrize("around", [lambda array: array, lambda array: [array], lambda array: [{"a": array}]])
def test_a_large_array_is_not_copied_whole_to_be_encoded(around: Callable[[Any], Any]) -> None:
    rows = np.zeros(50_000, WINDOW_ROW)
    codec.encode_piecewise({"a": 1})
    tracemalloc.start()
    codec.encode_piecewise({"a": around(rows)})
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < rows.nbytes / 8


def test_what_lists_hold_is_not_emptied() -> None:
    held = {"a": np.arange(20_000), "b": {"c": 1}}
    codec.encode_piecewise({"list": [held]})
    assert held.keys() == {"a", "b"}
    assert held["b"] == {"c": 1}


@pytest.mark.parametrize("keys", [0, 1, 15, 16, 255, 999, 1_000, 1_001, 65_535])
def test_a_tree_of_any_width_is_encoded_piece_by_piece(keys: int) -> None:
    within = {str(number): number for number in range(keys)}
    for tree in (within, {"within": within, "after": 1}):
        whole = codec.pack(tree)
        assert codec.decompress(codec.encode_piecewise(codec.unpack(whole))) == whole


@pytest.mark.parametrize(
    ("encode", "why"),
    [(codec.encode_piecewise, "beyond"), (codec.encode, "claims")],
    ids=["no size", "its size"],
)
def test_data_is_unpacked_up_to_the_limit_whether_or_not_it_says_its_size(
    monkeypatch: pytest.MonkeyPatch, encode: Callable[[Any], bytes], why: str
) -> None:
    packed, size = encode({"a": bytes(1_000)}), len(codec.pack({"a": bytes(1_000)}))
    monkeypatch.setattr(codec, "_LARGEST", size)
    assert codec.decode(packed) == {"a": bytes(1_000)}
    monkeypatch.setattr(codec, "_LARGEST", size - 1)
    with pytest.raises(codec.UndecodableBytes, match=why):
        codec.decode(packed)


def test_an_extension_type_of_somebody_else_is_refused() -> None:
    with pytest.raises(codec.UndecodableBytes, match="unknown extension type 9"):
        codec.unpack(msgspec.msgpack.encode(msgspec.msgpack.Ext(9, b"")))


def test_compressed_data_has_a_checksum_and_says_its_size_where_it_is_known() -> None:
    with ThreadPoolExecutor(1) as pool:
        of_a_thread = pool.submit(codec.compress, bytes(1_000)).result()
    for data in (codec.compress(bytes(1_000)), of_a_thread):
        frame = zstandard.get_frame_parameters(data)
        assert (frame.has_checksum, frame.content_size) == (True, 1_000)
    assert zstandard.get_frame_parameters(codec.encode_piecewise({"a": 1})).has_checksum


def test_data_is_compressed_at_the_fastest_level() -> None:
    chance = random.Random(1)
    text = b" ".join(b"%d" % chance.randrange(300) for _ in range(9_000))
    level_1 = zstandard.ZstdCompressor(level=1, write_checksum=True)
    assert codec.compress(text) == level_1.compress(text)
    in_pieces = level_1.compressobj()
    whole = codec.pack({"a": text})
    assert codec.encode_piecewise({"a": text}) == in_pieces.compress(whole) + in_pieces.flush()
    other = zstandard.ZstdCompressor(level=3, write_checksum=True)
    assert other.compress(text) != level_1.compress(text)


@pytest.mark.parametrize("encode", [codec.encode, codec.encode_piecewise])
@pytest.mark.parametrize("size", [0, 200, 20_000])
def test_data_that_was_changed_cut_off_or_continued_is_refused(
    encode: Callable[[Any], bytes], size: int
) -> None:
    encoded = encode({"a": random.Random(1).randbytes(size)})
    changed = bytes([*encoded[:-1], encoded[-1] ^ 1])
    for data in (changed, *(encoded[:-less] for less in range(1, 9)), encoded + b"x", b"", b"no zstd"):
        with pytest.raises(codec.UndecodableBytes) as caught:
            codec.decode(data)
        assert str(caught.value) not in ("", "None")


def test_data_without_its_size_says_when_it_ends_too_early_or_late() -> None:
    encoded = codec.encode_piecewise({"a": 1})
    for data in (encoded[:-1], encoded + b"x"):
        with pytest.raises(codec.UndecodableBytes) as caught:
            codec.decode(data)
        assert str(caught.value) == "compressed data is cut off, or followed by something else"


def test_threads_compress_at_the_same_time() -> None:
    texts = [random.Random(number).randbytes(200_000) for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert [codec.decompress(data) for data in pool.map(codec.compress, texts)] == texts
