"""Messages encoded by shape are byte for byte what encoding each alone gives."""

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_sim.devices.encoding import TelemetryEncoder
from fleet_sim.signals.group import Sample
from fleet_wire.telemetry import encode_telemetry

BORDERS = st.sampled_from([0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**63 - 1])
TIMES = st.one_of(st.sampled_from([-1, 0, 2**32, 1_700_000_000_000]), st.integers(0, 2**41))
FLOATS = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, math.nan, math.inf]))


@st.composite
def samples(draw: st.DrawFn) -> tuple[list[int], list[int], list[int], Sample]:
    count = draw(st.integers(1, 12))

    def column(of: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(of, min_size=count, max_size=count))

    sample = Sample({
        "a": column(FLOATS), "word": column(st.sampled_from(["open", "closed", "x" * 40])), "b": column(FLOATS)
    })  # fmt: skip
    if draw(st.booleans()):
        sample.absent["b"] = np.array(column(st.booleans()))
    if draw(st.booleans()):
        sample.quality["b"] = column(st.floats(0, 1))
    return column(BORDERS), column(st.one_of(BORDERS, st.integers(0, 2**63 - 1))), column(TIMES), sample


@settings(deadline=None)
@given(samples())
def test_every_message_is_what_encoding_it_alone_gives(
    made: tuple[list[int], list[int], list[int], Sample],
) -> None:
    boots, seqs, ts, sample = made
    alone = [
        encode_telemetry(boot, seq, at, m, q=q)
        for boot, seq, at, m, q in zip(boots, seqs, ts, sample.messages(), sample.qualities(), strict=True)
    ]
    encoder = TelemetryEncoder()
    assert encoder.encode(boots, seqs, ts, sample) == alone
    assert encoder.encode(boots, seqs, ts, sample) == alone, "the same with the shapes it knows already"


def test_a_group_of_many_metrics_has_a_longer_head_of_its_map() -> None:
    sample = Sample({f"m{number}": [float(number)] for number in range(20)})
    assert TelemetryEncoder().encode([1], [2], [3], sample) == [
        encode_telemetry(1, 2, 3, sample.messages()[0])
    ]
