"""What messages without a time said."""

import numpy as np

from edge_gateway.fleet.arrivals.contents import (
    FIRST,
    MOST_SEQ,
    NEWEST,
    Contents,
    content_of,
    digest,
    digests,
)
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.fleet.states import packed, unpacked

BOOT = (3, 5)


def told(count: int) -> Contents:
    contents = Contents()
    for seq in range(count):
        assert not contents.remember(BOOT, seq, seq + 1)
    return contents


def test_a_digest_is_never_nothing_and_fits_32_bits() -> None:
    assert all(0 < digest(bytes([one])) < 1 << 32 for one in range(256))
    assert digest(b"a") != digest(b"b")


def test_a_content_is_what_a_message_says_and_not_which_one_it_is() -> None:
    said = content_of(encode_telemetry(1, 0, None, {"t": 1.0}))
    assert said == content_of(encode_telemetry(2, 7, None, {"t": 1.0}))
    assert said != content_of(encode_telemetry(1, 0, None, {"t": 2.0}))
    not_text = encode_telemetry(1, 0, None, {"t": 1.0}).replace(b"\xa1t", b"\xa1\xff")
    for payload in (not_text, b"\xc1", b"\x91" * 100_000):
        assert content_of(payload) == payload


def test_only_messages_without_a_time_have_a_digest() -> None:
    payloads = [b"\xc1", b"a", b"b"]
    assert digests(payloads, np.array([1, 2]), np.array([True, False])) == {0: digest(b"a")}


def test_the_first_and_the_newest_are_remembered_and_nothing_else() -> None:
    contents, count = told(200), 200
    known = [seq for seq in range(count) if contents.differs(BOOT, seq, 999)]
    assert known == [*range(FIRST), *range(count - NEWEST, count)]
    assert not any(contents.differs(BOOT, seq, seq + 1) for seq in range(count))


def test_a_gap_filled_late_does_not_take_the_place_of_a_newer_one() -> None:
    contents = told(200)
    contents.remember(BOOT, 199 - NEWEST, 1)
    assert contents.differs(BOOT, 199, 999)


def test_another_boot_and_numbers_beyond_all_reason_are_not_judged() -> None:
    contents = told(3)
    contents.remember(BOOT, MOST_SEQ + 1, 7)
    assert not contents.differs(BOOT, MOST_SEQ + 1, 8)
    assert not contents.differs((3, 6), 0, 999)


def test_what_a_boot_said_before_its_device_was_erased_is_recognised() -> None:
    contents = told(3)
    contents.begin_anew(BOOT)
    assert not contents.differs(BOOT, 0, 999)
    assert contents.remember(BOOT, 0, 1)
    assert not contents.remember(BOOT, 1, 999)
    contents.forget(BOOT)
    assert not contents.remember(BOOT, 2, 3)
    contents.begin_anew((9, 9))


def test_a_snapshot_restores_it() -> None:
    first, second = told(3), Contents()
    first.begin_anew(BOOT)
    first.remember(BOOT, 0, 40)
    second.restore(unpacked(packed(first.snapshot())))
    assert packed(second.snapshot()) == packed(first.snapshot())
    assert second.differs(BOOT, 0, 41)
    assert second.remember(BOOT, 2, 3)
    second.restore(Contents().snapshot())
    assert not second.differs(BOOT, 0, 41)


def test_of_numbers_that_others_may_have_taken_in_memory_nothing_is_known() -> None:
    contents = told(200)
    assert [seq for seq in range(210) if contents.never_said(BOOT, seq)] == list(range(200, 210))
    assert contents.never_said((3, 6), 0)
    assert not contents.never_said(BOOT, MOST_SEQ + 1)
    gaps = Contents()
    for seq in (2, 4, 9):
        gaps.remember(BOOT, seq, 1)
    assert [seq for seq in range(12) if gaps.never_said(BOOT, seq)] == [0, 1, 3, 5, 6, 7, 8, 10, 11]
