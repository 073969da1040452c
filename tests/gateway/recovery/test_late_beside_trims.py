"""Late readings come while the history is trimmed by age: each is in its window, or kept apart and counted."""

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from edge_gateway.records.inputs import Moment
from edge_gateway.status.clock import BUILT
from tests.proofs.ground.inside import Inside, configuration, later
from tests.proofs.order.histories import Reading

NOW = BUILT + 10_000_000_000
EVERY = 10_000
KEEP = 120_000


@pytest.mark.parametrize("seed", range(4))
def test_a_late_reading_is_merged_or_told_apart_whatever_is_trimmed_meanwhile(
    tmp_path: Path, seed: int
) -> None:
    chance = Random(seed)
    windows = [{"every": "10s", "bucket": "a", "keep": "30d"}, {"every": "30s", "bucket": "b", "keep": "60d"}]
    config = configuration(
        tmp_path, windows=windows, time={"allowed_lateness": "1s"}, history={"keep": f"{KEEP // 1000}s"}
    )
    inside = Inside(tmp_path, config, NOW)
    sent: Counter[int] = Counter()
    moment = Moment(NOW, 0, trusted=True)
    for seq in range(300):
        moment = later(moment, 1_000)
        behind = chance.choice([0, 0, chance.randrange(2 * KEEP)])
        ts = max(moment.wall - behind, NOW)
        sent[ts - ts % EVERY] += 1
        inside.deliver(moment, [Reading("d", "s", 1, seq, ts, {"heat": ts / 7}).delivery()])
        inside.commit(apply=chance.random() < 0.7)
        if chance.random() < 0.1:
            inside.trim(moment)
        if chance.random() < 0.2:
            inside.late(1)
        if chance.random() < 0.02:
            inside.checkpoint()
            inside.crash()
    moment = inside.settle(moment)
    inside.trim(moment)
    held = {row["start"]: row["count"] for row in inside.rows("windows") if row["every"] == EVERY}
    apart = Counter(row["at"] - row["at"] % EVERY for row in inside.rows("late"))
    totals = inside.pipeline.admission.accounting.totals()
    assert totals["accepted"] + totals["too_late"] == sent.total()
    assert totals["too_late"] >= apart.total()
    floor = inside.store.floor
    assert NOW < floor <= moment.wall - KEEP
    assert min(held) >= floor
    assert {start: held.get(start, 0) + apart[start] for start in sent if start >= floor} == {
        start: count for start, count in sent.items() if start >= floor
    }
    inside.close()
