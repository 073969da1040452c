"""However deliveries are cut into batches, or admission starts again from a checkpoint: the state is the same."""

import random
from itertools import chain, pairwise
from typing import Any

import pytest

from edge_gateway.fleet.admission import Admission, Admitted
from edge_gateway.records.inputs import Batch, Moment
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.fleet.deliveries import DAY, T, balanced, batch, fresh, message, topic
from tests.gateway.fleet.states import packed, types, unpacked


def traffic(seed: int, count: int) -> list[tuple[str, bytes]]:
    """Deliveries of 12 devices and all that happens: order, repeats, gaps, boots, bad values, samples."""
    draw = random.Random(seed)
    boots, following = [1] * 12, [0] * 12
    sent: list[tuple[str, bytes]] = []
    for now in range(count):
        device, chance = draw.randrange(12), draw.random()
        if chance < 0.05 and sent:
            sent.append(draw.choice(sent))
            continue
        if chance < 0.06:
            boots[device], following[device] = boots[device] + 1, 0
        if chance < 0.09:
            following[device] += draw.randrange(1, 4)
        values: dict[str, Any] = {"temperature": draw.gauss(20, 30), "ph": 7.0, "t": float(now)}
        if chance > 0.95:
            values |= {"door": draw.choice([True, "ajar", None, 3]), "Oops": 1}
        ts = None if chance > 0.98 else T + now * 100 - (DAY if 0.9 < chance < 0.91 else 0)
        further: list[tuple[int, dict[str, Any]]] = [(50, {"t": 1.0}), (90, {"t": draw.choice([2.0, "x"])})]
        samples = further if 0.8 < chance < 0.83 else None
        doubt = {"ph": draw.random()} if 0.7 < chance < 0.75 else None
        payload = encode_telemetry(boots[device], following[device], ts, values, q=doubt, s=samples)
        if 0.6 < chance < 0.61:
            payload = payload[:-3]
        following[device] += 1
        sent.append((topic(device), payload))
    if draw.random() < 0.5:
        sent[10:20] = reversed(sent[10:20])
    return sent


def play(admission: Admission, sent: list[tuple[str, bytes]], edges: list[int]) -> list[Admitted]:
    found = []
    for start, end in pairwise(edges):
        part = sent[start:end]
        given = Batch(Moment(T + DAY, 0), [one for one, _ in part], [payload for _, payload in part])
        found.append(admission.admit(given))
    return found


def flat(found: list[Admitted], edges: list[int]) -> bytes:
    """What came out of all batches as one: rows in order, values by their row."""
    offset = 0
    parts: list[list[list[Any]]] = []
    for admitted, start in zip(found, edges, strict=False):
        frame = admitted.frame
        parts += [
            [frame.device.tolist(), frame.seq.tolist(), frame.ts.tolist(), frame.backlog.tolist()],
            [
                (frame.row + offset).tolist(),
                frame.series.tolist(),
                frame.value.tolist(),
                frame.quality.tolist(),
            ],
            [(frame.state_row + offset).tolist(), frame.state_series.tolist(), frame.state_code.tolist()],
            [
                [one.position + start for one in admitted.quarantined],
                [one.reason for one in admitted.quarantined],
            ],
        ]
        offset += frame.rows
    by_kind = [zip(*parts[kind::4], strict=True) for kind in range(4)]
    return packed([[list(chain.from_iterable(columns)) for columns in kind] for kind in by_kind])


@pytest.mark.parametrize("seed", range(6))
def test_how_batches_are_cut_changes_nothing(seed: int) -> None:
    sent = traffic(seed, 600)
    states, outcomes = set(), set()
    for size in (600, 100, 37, 5, 1):
        admission, edges = fresh(), [*range(0, 600, size), 600]
        outcomes.add(flat(play(admission, sent, edges), edges))
        balanced(admission)
        state = admission.snapshot()
        del state["sequences"]["one_by_one"], state["mostly_bad"]
        states.add(packed([admission.registry.snapshot(), state]))
    assert len(outcomes) == 1
    assert len(states) == 1


@pytest.mark.parametrize("seed", range(4))
def test_half_then_a_checkpoint_then_the_rest_is_the_whole(seed: int) -> None:
    sent, edges = traffic(seed, 400), [0, 60, 61, 200, 333, 400]
    whole, first, second = fresh(), fresh(), fresh()
    play(whole, sent, edges)
    play(first, sent, edges[:4])
    second.registry.restore(unpacked(packed(first.registry.snapshot())))
    second.restore(unpacked(packed(first.snapshot())))
    assert packed(second.snapshot()) == packed(first.snapshot())
    play(second, sent, edges[3:])
    assert packed(second.snapshot()) == packed(whole.snapshot())
    assert packed(second.registry.snapshot()) == packed(whole.registry.snapshot())
    assert second.receipts_due(DAY) == whole.receipts_due(DAY)


def test_snapshots_are_copies() -> None:
    admission = fresh()
    admission.admit(batch(message(0)))
    before = admission.snapshot()
    kept = packed(before)
    admission.admit(batch(message(1), message(5), message(9, {"t": "x"})))
    assert packed(before) == kept


def test_a_state_has_its_types_before_the_first_message() -> None:
    empty, busy = fresh(), fresh()
    sent = traffic(1, 60)
    frames = [one.frame for one in (empty.admit(batch()), *play(busy, sent, [0, len(sent)]))]
    assert types(empty.snapshot()) == types(busy.snapshot())
    assert types(empty.registry.snapshot()) == types(busy.registry.snapshot())
    columns = [name for name in frames[0].__slots__ if name != "arrival"]
    first, *_ = found = [[getattr(frame, name).dtype for name in columns] for frame in frames]
    assert all(one == first for one in found)
