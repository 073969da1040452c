"""Points that come out of order are noticed, unless they may be corrections."""

from __future__ import annotations

from fleet_sim.ledger.reading import Ledger
from tests.proofs.ground.write_order import WriteOrder, devices_sending_late
from tests.proofs.proof import Findings

SERIES = rb"sensor,device=a\ b,metric=heat"


def judged(order: WriteOrder, *late: str) -> dict[str, int]:
    findings = Findings()
    order.judge(findings, set(late))
    return dict(findings.forbidden)


def test_an_older_point_after_a_newer_one_is_noticed_but_no_repetition_and_no_correction() -> None:
    order = WriteOrder()
    order.add("base", [SERIES + b" value=1.0 1000", SERIES + b" value=2.0 3000"])
    order.add("base", [SERIES + b" value=1.5 1000", rb'other,device=a last="x y" 500'])
    order.add("mid", [SERIES + b" value=2.0 2000"])
    assert judged(order) == {}
    order.add("base", [SERIES + b" value=2.0 2000"])
    assert judged(order) == {"out of order": 1}


def test_a_corrected_point_may_come_first_after_a_newer_one() -> None:
    order = WriteOrder()
    for at in (b"2000", b"1000"):
        order.add("base", [b"sensor,device=d1 value=1.0 " + at])
    assert judged(order, "d1") == {}
    assert judged(order, "d", "d11") == {"out of order": 1}


def test_what_a_point_said_before_its_correction_is_noticed_when_it_comes_again() -> None:
    order = WriteOrder()
    for line in (b"sensor,device=d value=1.0 1000", *[b"sensor,device=d value=2.0 1000"] * 2):
        order.add("base", [line])
    assert judged(order) == {}
    order.add("base", [b"sensor,device=d value=1.0 1000"])
    assert judged(order, "d") == {"corrected point undone": 1}


def test_the_devices_that_a_fault_makes_late_are_known_from_the_ledger() -> None:
    faults = [{"kind": "late_batch", "devices": ["d1", "d2"]}, {"kind": "clock_skew", "devices": ["d3"]}]
    assert devices_sending_late(Ledger(notes={"fault": faults})) == {"d1", "d2"}
