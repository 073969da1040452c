from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.records.store_effects import Stamp
from edge_gateway.store.counters import StoreCounters
from edge_gateway.store.outbox import (
    MOST_BYTES,
    MOST_LINES,
    NOT_CARRIED,
    OnFull,
    Outbox,
    SinkBudget,
    Waiting,
    point_of,
)
from edge_gateway.store.room_in_file import row_in_file
from edge_gateway.store.schema import StoreDamaged, open_store

BIG = 1 << 30


class Shop:
    """An outbox on a database of its own."""

    def __init__(self, path: Path, *sinks: SinkBudget) -> None:
        self.db, _ = open_store(path / "store.sqlite")
        self.counters = StoreCounters(self.db)
        self.outbox = Outbox(self.db, self.counters, sinks or (SinkBudget("influx", BIG),), tiers=3)

    def put(self, numbers: range, bucket: str = "b0", rank: int = 0, at: int = 1) -> None:
        self.outbox.put(bucket, rank, lines(numbers), len(numbers), Stamp(at))

    def drain(self, sink: str = "influx") -> list[tuple[str, bytes]]:
        found = []
        while (parcel := self.outbox.take(sink)) is not None:
            assert parcel.lines == parcel.body.count(b"\n") <= MOST_LINES
            found += [(parcel.bucket, line) for line in parcel.body.split(b"\n")[:-1]]
            self.outbox.done(parcel)
        return found

    def held(self) -> list[int]:
        """First line numbers of the chunks that are left."""
        return [row[0] for row in self.db.execute("SELECT at FROM outbox ORDER BY id")]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    one = Shop(tmp_path)
    yield one
    one.db.close()


def lines(numbers: range) -> bytes:
    """Lines that do not compress well."""
    return b"".join(f"m{n * 7919 % 1000003:x}{n * 104729 % 999983:x} v={n}\n".encode() for n in numbers)


@settings(max_examples=40, deadline=None)
@given(
    puts=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3000)), max_size=12),
    sinks=st.sampled_from([("influx",), ("influx", "other")]),
)
def test_every_line_comes_out_once_in_the_order_of_its_bucket_for_every_sink(
    tmp_path_factory: pytest.TempPathFactory, puts: list[tuple[str, int]], sinks: tuple[str, ...]
) -> None:
    shop = Shop(tmp_path_factory.mktemp("outbox"), *(SinkBudget(sink, BIG) for sink in sinks))
    expected, at = [], 0
    for bucket, count in puts:
        shop.put(range(at, at + count), bucket)
        expected += [(bucket, line) for line in lines(range(at, at + count)).split(b"\n")[:-1]]
        at += count
    for sink in sinks:
        assert sorted(shop.drain(sink), key=itemgetter(0)) == sorted(expected, key=itemgetter(0))
        assert shop.outbox.waiting[sink] == Waiting()
    shop.db.close()


def test_chunks_of_one_bucket_travel_together_up_to_the_limit(shop: Shop) -> None:
    for start in range(0, 6000, 100):
        shop.put(range(start, start + 100), at=start)
    first = shop.outbox.take("influx")
    assert first is not None
    assert (first.lines, first.at) == (5000, 0)
    shop.outbox.done(first)
    second = shop.outbox.take("influx")
    assert second is not None
    assert (second.lines, second.at) == (1000, 5000)


def test_a_parcel_is_filled_to_the_last_byte(shop: Shop) -> None:
    head, small = b"m v=", b"n v=1 1\n"
    rest = MOST_BYTES - len(small)
    shop.outbox.put("b0", 0, head + b"1" * (rest - len(head) - 1) + b"\n", 1, Stamp(1))
    shop.outbox.put("b0", 0, small, 1, Stamp(2))
    shop.outbox.put("b0", 0, small, 1, Stamp(3))
    first = shop.outbox.take("influx")
    assert first is not None
    assert (first.lines, len(first.body)) == (2, MOST_BYTES)
    shop.outbox.done(first)
    second = shop.outbox.take("influx")
    assert second is not None
    assert (second.lines, second.at) == (1, 3)


def test_a_line_above_the_limit_travels_alone(shop: Shop) -> None:
    shop.outbox.put("b0", 0, b"m v=" + b"1" * MOST_BYTES + b"\nn v=2\n", 2, Stamp(1))
    assert [len(body) for _, body in shop.drain()] == [MOST_BYTES + 4, 5]


def test_a_damaged_chunk_is_damage_of_the_store(shop: Shop) -> None:
    shop.put(range(3))
    shop.db.execute("UPDATE outbox SET body = X'00'")
    with pytest.raises(StoreDamaged, match="a chunk of the outbox cannot be decompressed"):
        shop.outbox.take("influx")


def test_buckets_that_are_left_out_hide_no_other_however_much_waits_in_them(shop: Shop) -> None:
    for _ in range(300):
        shop.put(range(1), "b0")
    shop.put(range(3), "b1")
    shop.put(range(2), "b'2")
    parcel = shop.outbox.take("influx", frozenset({"b0"}))
    assert parcel is not None
    assert (parcel.bucket, parcel.lines) == ("b1", 3)
    shop.outbox.done(parcel)
    assert shop.outbox.take("influx", frozenset({"b0", "b'2"})) is None
    oldest = shop.outbox.take("influx")
    assert oldest is not None
    assert oldest.bucket == "b0"


def test_of_a_point_that_is_corrected_while_it_waits_the_last_correction_is_sent(shop: Shop) -> None:
    first = b"sensor,device=a\\ b count=1i 1000\nsensor,device=a\\ c count=1i 1000\n"
    corrected = b'sensor,device=a\\ b count=2i 1000\nsensor_state,device=a last="x y",changes=1i 1000\n'
    again = b'sensor,device=a\\ b count=1i 2000\nsensor_state,device=a last="z",changes=2i 1000\n'
    for body in (first, corrected, again):
        shop.outbox.put("b0", 0, body, 2, Stamp(1))
    parcel = shop.outbox.take("influx")
    assert parcel is not None
    assert parcel.body.split(b"\n") == [
        rb"sensor,device=a\ c count=1i 1000",
        rb"sensor,device=a\ b count=2i 1000",
        rb"sensor,device=a\ b count=1i 2000",
        rb'sensor_state,device=a last="z",changes=2i 1000',
        b"",
    ]
    shop.outbox.done(parcel)
    assert shop.outbox.waiting["influx"] == Waiting()
    assert shop.counters.values == {"outbox_sent_lines": 4, "outbox_superseded_lines": 2}


def test_a_long_body_is_cut_at_lines(shop: Shop) -> None:
    shop.put(range(12_345))
    sizes = [row[0] for row in shop.db.execute("SELECT lines FROM outbox ORDER BY id")]
    assert sizes == [5000, 5000, 2345]
    shop.outbox.put("b0", 0, (b"x" * 400_000 + b"\r\n") * 5, 5, Stamp(1))
    assert [row[0] for row in shop.db.execute("SELECT lines FROM outbox ORDER BY id")][3:] == [2, 2, 1]


@pytest.mark.parametrize(("more", "chunks"), [(0, [MOST_LINES]), (1, [MOST_LINES, 1])])
def test_a_chunk_holds_so_many_lines_and_no_more(shop: Shop, more: int, chunks: list[int]) -> None:
    shop.put(range(MOST_LINES + more))
    assert [row[0] for row in shop.db.execute("SELECT lines FROM outbox ORDER BY id")] == chunks


@pytest.mark.parametrize(("more", "chunks"), [(0, [2]), (1, [1, 1])])
def test_a_chunk_holds_so_many_bytes_and_no_more(shop: Shop, more: int, chunks: list[int]) -> None:
    half = MOST_BYTES // 2
    shop.outbox.put("b0", 0, b"x" * (half - 1) + b"\n" + b"y" * (half - 1 + more) + b"\n", 2, Stamp(1))
    assert [row[0] for row in shop.db.execute("SELECT lines FROM outbox ORDER BY id")] == chunks


def test_where_a_body_is_cut_the_last_chunk_may_be_full_too(shop: Shop) -> None:
    half = MOST_BYTES // 2
    shop.outbox.put("b0", 0, (b"x" * (half - 1) + b"\n") * 4, 4, Stamp(1))
    assert [row[0] for row in shop.db.execute("SELECT lines FROM outbox ORDER BY id")] == [2, 2]


def test_a_parcel_holds_so_many_lines_and_no_more(shop: Shop) -> None:
    for count in (MOST_LINES - 1, 1, 1):
        shop.put(range(count))
    found = []
    while (parcel := shop.outbox.take("influx")) is not None:
        found.append(parcel.lines + parcel.superseded)
        shop.outbox.done(parcel)
    assert found == [MOST_LINES, 1]


@pytest.mark.parametrize(
    ("line", "series"),
    [
        (b"m v=1 5", b"m"),
        (b"m,a=b\\ c v=1 5", b"m,a=b\\ c"),
        (b"m,a=\\ \\ c v=1 5", b"m,a=\\ \\ c"),
        (b'm,a=b text="x y\\ z" 5', b"m,a=b"),
    ],
)
def test_a_point_is_known_by_its_series_and_its_time(line: bytes, series: bytes) -> None:
    assert point_of(line) == (series, b" 5")


@pytest.mark.parametrize("on_full", ["merge", "drop_oldest"])
def test_an_outbox_may_be_as_large_as_its_budget(shop: Shop, on_full: OnFull) -> None:
    for at in (1, 2):
        shop.put(range(100), at=at)
    size = shop.outbox.waiting["influx"].bytes
    for most, left in ((size, [1, 2]), (size - 1, [2])):
        full = Outbox(shop.db, shop.counters, (SinkBudget("influx", most, on_full),), tiers=3)
        full.enforce()
        assert shop.held() == left


def test_what_is_taken_stays_until_it_is_done(shop: Shop) -> None:
    shop.put(range(3))
    assert shop.outbox.take("influx") == shop.outbox.take("influx")
    reopened = Outbox(shop.db, shop.counters, (SinkBudget("influx", BIG),), tiers=3)
    parcel = reopened.take("influx")
    assert parcel is not None
    assert parcel.lines == 3


def test_how_much_waits_is_exact_before_and_after_opening(shop: Shop) -> None:
    for at in (5, 6, 7):
        shop.put(range(at, 3 * at), at=at)
    waiting = shop.outbox.waiting["influx"]
    size = sum(row_in_file(size) for (size,) in shop.db.execute("SELECT LENGTH(body) FROM outbox"))
    assert waiting == Waiting(3, 10 + 12 + 14, size, 5)
    again = Outbox(shop.db, shop.counters, (SinkBudget("influx", BIG),), tiers=3)
    assert again.waiting["influx"] == waiting


def chunks(shop: Shop, on_full: str) -> None:
    """Six chunks of 100 lines: base, ten minutes, an alert, base, hour, base."""
    for number, rank in enumerate([0, 1, NOT_CARRIED, 0, 2, 0]):
        shop.put(range(100 * number, 100 * number + 100), f"b{rank}", rank, at=number)
    size = shop.outbox.waiting["influx"].bytes
    full = SinkBudget("influx", size // 2 + 10, on_full)  # type: ignore[arg-type]
    shop.outbox = Outbox(shop.db, shop.counters, (full,), tiers=3)


def test_merge_gives_up_base_windows_first_and_says_that_the_coarser_carry_them(shop: Shop) -> None:
    chunks(shop, "merge")
    shop.outbox.enforce()
    assert shop.held() == [1, 2, 4]
    assert shop.counters.values == {"outbox_merged_lines": 300}
    shop.put(range(1000, 1100), "b2", 2, at=6)
    shop.outbox.enforce()
    shop.put(range(1100, 1200), "b2", 2, at=7)
    shop.outbox.enforce()
    assert shop.held() == [2, 6, 7]
    assert shop.counters.values == {"outbox_merged_lines": 400, "outbox_dropped_lines": 100}


def test_drop_oldest_goes_by_age_alone(shop: Shop) -> None:
    chunks(shop, "drop_oldest")
    shop.outbox.enforce()
    assert shop.held() == [3, 4, 5]
    assert shop.counters.values == {"outbox_dropped_lines": 300}


def test_what_is_being_sent_is_not_given_up(shop: Shop) -> None:
    chunks(shop, "drop_oldest")
    parcel = shop.outbox.take("influx")
    assert parcel is not None
    shop.outbox.enforce()
    assert shop.held() == [0, 3, 5]
    shop.outbox.done(parcel)
    assert shop.held() == []
    assert shop.counters.values == {"outbox_dropped_lines": 300, "outbox_sent_lines": 300}


def test_what_is_being_sent_is_not_given_up_though_its_removal_was_rolled_back(tmp_path: Path) -> None:
    shop = Shop(tmp_path, SinkBudget("influx", 4_000))
    shop.put(range(100), at=1)
    parcel = shop.outbox.take("influx")
    assert parcel is not None
    snapshot = shop.outbox.snapshot()
    shop.db.execute("BEGIN")
    shop.outbox.done(parcel)
    shop.db.execute("ROLLBACK")
    shop.outbox.restore(snapshot)
    for number in range(2, 9):
        shop.put(range(100), at=number)
    shop.outbox.enforce()
    assert shop.held()[0] == 1
    assert len(shop.held()) < 8


def test_one_full_sink_does_not_touch_another(tmp_path: Path) -> None:
    shop = Shop(tmp_path, SinkBudget("dead", 100, "drop_oldest"), SinkBudget("influx", BIG))
    for start in range(0, 500, 100):
        shop.put(range(start, start + 100))
    shop.outbox.enforce()
    assert shop.outbox.waiting["dead"].lines == 0
    assert len(shop.drain()) == 500
    shop.db.close()


def test_lines_can_be_queued_for_one_sink_alone(tmp_path: Path) -> None:
    shop = Shop(tmp_path, SinkBudget("influx", BIG), SinkBudget("archive", BIG))
    with shop.outbox.only("archive"):
        assert shop.outbox.sinks == ("archive",)
        shop.put(range(3))
    shop.put(range(3, 5))
    assert [len(shop.drain(sink)) for sink in ("influx", "archive")] == [2, 5]
    shop.db.close()


def test_the_oldest_chunk_of_each_bucket_is_known_and_the_newest_ever(shop: Shop) -> None:
    assert (shop.outbox.newest, shop.outbox.oldest_by_bucket("influx")) == (0, {})
    for bucket in ("a", "b", "a"):
        shop.put(range(1), bucket)
    assert shop.outbox.oldest_by_bucket("influx") == {"a": 1, "b": 2}
    shop.drain()
    assert (shop.outbox.newest, shop.outbox.oldest_by_bucket("influx")) == (3, {})


def test_people_see_the_wall_time_and_a_parcel_says_whether_it_was_sure(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.outbox.put("b0", 0, lines(range(1)), 1, Stamp(1_000))
    shop.outbox.put("b1", 0, lines(range(1)), 1, Stamp(2_000, 7))
    shop.outbox.put("b1", 0, lines(range(1, 2)), 1, Stamp(3_000))
    assert shop.outbox.waiting["influx"].oldest == 1_000
    parcels = [shop.outbox.take("influx", without) for without in (frozenset(), frozenset({"b0"}))]
    assert [(one.at, one.unsure) for one in parcels if one is not None] == [(1_000, False), (2_000, True)]
    shop.db.close()
