"""What the benchmarks measure with: if this is wrong, every number is."""

import io
import math
import os
import re
import sys
from pathlib import Path
from typing import NoReturn

import aiomqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmarks import consumers, fold
from benchmarks.__main__ import main
from benchmarks.child import Child, Used
from benchmarks.consumers import Lines, Progress, follow, throughput
from benchmarks.fold import by_figure, figures
from benchmarks.gateway import _drain, rules_text
from benchmarks.load import CHUNK, chunks, load, publish_packet, read_messages, write_messages
from benchmarks.measure import (
    Comparison,
    Measured,
    Quantity,
    Stalled,
    compare,
    cpu_seconds,
    resident_bytes,
)
from benchmarks.stream import METRICS, Encoding, Stream
from edge_gateway.rules.files.load import load_rules
from fleet_wire.telemetry import decode_telemetry
from tests.servers.broker import Broker
from tests.servers.process import ServerFailed

messages = st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.binary(max_size=300)), max_size=20)


@given(messages)
def test_a_file_of_messages_reads_back(
    tmp_path_factory: pytest.TempPathFactory, given_: list[tuple[bytes, bytes]]
) -> None:
    file = tmp_path_factory.mktemp("messages") / "file"
    write_messages(given_, file)
    assert list(read_messages(file)) == given_


@pytest.mark.parametrize(
    ("payload", "length"), [(0, b"\x05"), (122, b"\x7f"), (123, b"\x80\x01"), (16_379, b"\x80\x80\x01")]
)
def test_the_length_of_a_packet_grows_by_bytes_of_seven_bits(payload: int, length: bytes) -> None:
    packet = publish_packet(b"t", bytes(payload), 7)
    assert packet == b"\x32" + length + b"\x00\x01t\x00\x07" + bytes(payload)


def test_packet_ids_are_unique_among_what_is_under_way() -> None:
    counts = [count for _, count in chunks([(b"t", b"")] * (2 * CHUNK + 1))]
    assert counts == [CHUNK, CHUNK, 1]


async def test_the_publisher_delivers_all_in_order_at_no_more_than_its_rate(
    broker: Broker, tmp_path: Path
) -> None:
    sent = [(f"benchmarks/{number}".encode(), bytes([number % 256])) for number in range(3 * CHUNK)]
    write_messages(sent, tmp_path / "messages")
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.subscribe("benchmarks/#", qos=1)
        child = load(broker.port, tmp_path / "messages", rate=4 * CHUNK)
        received = []
        async for message in client.messages:
            received.append((str(message.topic).encode(), bytes(message.payload)))
            if len(received) == len(sent):
                break
    used = child.wait()
    assert received == sent
    assert used.cpu > 0


def test_the_stream_is_the_same_in_both_encodings_and_has_no_gap() -> None:
    stream = Stream(messages=10, devices=3, start=1_700_000_000_000)
    decoded = [decode_telemetry(payload) for _, payload in stream.encoded("fleet-v1")]
    assert [reading.seq for reading in decoded] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert [topic for topic, _ in stream.encoded("json")] == [
        topic for topic, _ in stream.encoded("fleet-v1")
    ]
    assert [reading.m for reading in decoded] == [values for _, _, _, values in stream.readings()]


def test_cpu_and_memory_of_this_process() -> None:
    before, times = cpu_seconds(os.getpid()), os.times()
    while sum(os.times()[:2]) - sum(times[:2]) < 0.2:
        pass
    assert cpu_seconds(os.getpid()) - before == pytest.approx(0.2, abs=0.05)
    assert resident_bytes(os.getpid()) > 10_000_000


def test_a_child_that_fails_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match="no such thing"):
        Child(["sh", "-c", "echo no such thing; exit 3"], tmp_path / "log").wait()


def test_lines_are_counted_once_and_only_when_whole(tmp_path: Path) -> None:
    file = tmp_path / "grows"
    lines = Lines(file)
    assert lines.new() == []
    for added, expected in [("a\nb", [b"a"]), ("c\n", [b"bc"]), ("", []), ("\nd\n", [b"", b"d"])]:
        with file.open("a") as out:
            out.write(added)
        assert lines.new() == expected


def test_ratios_are_of_the_same_round() -> None:
    rounds = {"ours": [{"t": 2.0}, {"t": 30.0}, {"t": 8.0}], "theirs": [{"t": 1.0}, {"t": 10.0}, {"t": 2.0}]}
    comparison = Comparison("title", "theirs", {"t": Quantity("s")}, rounds)
    assert comparison.median("ours", "t") == 8.0
    assert comparison.ratio("ours", "t") == 3.0
    nothing = {"ours": [{"t": 1.0}], "theirs": [{"t": 0.0}]}
    assert math.isnan(Comparison("title", "theirs", {"t": Quantity("s")}, nothing).ratio("ours", "t"))


def test_figures_of_a_module_become_rows_beside_its_reference() -> None:
    told = [dict(figures("", {"plain Python": value, "us": {1: 3 * value}})) for value in (1, 2, 10)]
    comparison = by_figure("title", told)
    assert comparison.median("us 1", "value") == 6.0
    assert comparison.ratio("us 1", "value") == 3.0
    assert math.isnan(by_figure("title", [{"a": 1.0}]).ratio("a", "value"))


@pytest.mark.parametrize("metrics", [1, 2, 5])
def test_no_rule_of_the_benchmarks_is_without_its_metrics(tmp_path: Path, metrics: int) -> None:
    stream = Stream(messages=1, devices=1, start=0, metrics=metrics)
    ((_, _, _, values),) = stream.readings()
    assert len(values) == metrics
    (tmp_path / "rules.yaml").write_text(rules_text(100, metrics))
    rules = load_rules(tmp_path)
    assert len(rules.rules) == 100
    named = set(re.findall("[a-z]+", " ".join(str(rule.expr) for rule in rules.alerts))) & set(METRICS)
    assert named
    assert named <= set(values)


def test_throughput_is_taken_behind_the_start() -> None:
    assert throughput([(0.0, 0), (5.0, 5), (6.0, 20), (7.0, 60), (8.0, 100), (9.0, 100)]) == 40.0
    assert math.isnan(throughput([(0.0, 0), (1.0, 100)]))


def test_candidates_take_turns_and_nobody_is_always_first() -> None:
    order = []

    def measure(name: str) -> dict[str, float]:
        order.append(name)
        return {"t": 1.0}

    candidates = {name: lambda name=name: measure(name) for name in "ab"}
    compare("title", candidates, reference="a", quantities={"t": Quantity("s")}, rounds=2)
    assert order == ["a", "b", "b", "a"]


class Peer:
    """A consumer that takes what it takes, and then no more."""

    encoding: Encoding = "json"

    def __init__(self, takes: list[int]) -> None:
        self._takes = takes
        self.stopped = 0

    def make_session(self) -> None:
        pass

    def drain(self, messages: int) -> Progress:
        given = iter([*self._takes, *[0] * 1_000_000])
        return follow(lambda: next(given), messages)

    def stop(self) -> Used:
        self.stopped += 1
        return Used(1.0, 1e6)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "STALLED_S", 0.05)
    monkeypatch.setattr(consumers, "LOOK_S", 0.001)


@pytest.mark.usefixtures("impatient")
def test_a_peer_that_drops_messages_is_stopped_and_its_count_is_told(broker: Broker, tmp_path: Path) -> None:
    stream, peer = Stream(messages=200, devices=3, start=0), Peer([4, 3])
    with pytest.raises(Stalled, match="stalled at 7 of 10"):
        _drain(peer, stream, broker.port, tmp_path / "messages")
    assert peer.stopped == 1


@pytest.mark.usefixtures("impatient")
def test_who_goes_on_slowly_has_not_stalled() -> None:
    """The patience counts from the last message, not from the first."""
    assert Peer([*[0] * 10, 1] * 20).drain(20)[-1][1] == 20


def rendered(comparison: Comparison) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(comparison.table())
    return out.getvalue()


@pytest.mark.parametrize("stalls", [1, 2, 3])
def test_a_candidate_that_stalls_is_a_row_and_not_the_end(stalls: int) -> None:
    left = [stalls]

    def peer() -> Measured:
        left[0] -= 1
        if left[0] >= 0:
            raise Stalled(48_213, 50_000)
        return {"t": 2.0}

    candidates = {"gateway": lambda: {"t": 1.0}, "peer": peer}
    quantities = {"t": Quantity("messages/s")}
    found = compare("title", candidates, reference="peer", quantities=quantities, rounds=3)
    table = rendered(found)
    assert "[messages/s]" in table
    assert f"peer: stalled at 48,213 of 50,000 in {stalls} of 3 rounds" in table
    assert ("1.0 (not comparable)" in table) == (stalls == 3)
    assert ("1.0 (0.50)" in table) == (stalls < 3)
    assert found.as_dict()["stalled"] == {"peer": ["stalled at 48,213 of 50,000"] * stalls}
    assert math.isnan(found.median("peer", "t")) == (stalls == 3)


def test_a_server_that_fails_ends_the_measurement_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: object) -> NoReturn:
        raise ServerFailed("telegraf: no such file")

    monkeypatch.setattr(fold, "run", run)
    monkeypatch.setattr(sys, "argv", ["bench", "fold"])
    with pytest.raises(SystemExit, match="bench: telegraf: no such file"):
        main()
