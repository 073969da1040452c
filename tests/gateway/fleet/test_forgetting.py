"""Whatever devices do and the gateway forgets: nothing counts twice, and nothing that never came is a duplicate.

The oracle knows what was sent, and nothing of what is kept. Every reading has a value of its own, so that it is known
again in the frames that come out.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.fleet.admission import Admission, AdmissionPolicy
from edge_gateway.fleet.arrivals import boot_mark, forgotten, marks
from edge_gateway.fleet.registry import Registry
from edge_gateway.records.inputs import Batch, Moment
from fleet_wire.control_messages import Birth
from fleet_wire.telemetry import encode_telemetry
from fleet_wire.topics import TELEMETRY, device_topic
from tests.gateway.fleet.imbalance import imbalance

START = 1_760_000_000_000
FATES = ("new", "duplicate", "not_known", "quarantined")

events = st.lists(
    st.tuples(
        st.sampled_from(
            ["send"] * 6
            + ["skip"] * 2
            + ["again"] * 4
            + ["fill", "fill", "reboot", "erased", "born", "retired"]
        ),
        st.integers(0, 1),
        st.integers(0, 1_000),
    ),
    max_size=60,
)


@dataclass
class Sent:
    """A message; `life` counts the times its device was erased."""

    boot: int
    seq: int
    life: int
    value: float
    payload: bytes
    came: bool = False


@dataclass
class Device:
    """A device as it sees itself. One without a clock sends no times.

    After an erasure it is `unannounced` until a birth: so long its messages come in order, or nobody could tell that it
    counts anew.
    """

    number: int
    timed: bool
    boot: int = 1
    seq: int = 0
    life: int = 0
    unannounced: bool = False
    sent: list[Sent] = field(default_factory=list)

    def make(self, at: int) -> Sent:
        value = float(at)
        payload = encode_telemetry(self.boot, self.seq, START + at if self.timed else None, {"t": value})
        self.sent.append(Sent(self.boot, self.seq, self.life, value, payload))
        self.seq += 1
        return self.sent[-1]

    def pick(self, choice: int, *, came: bool) -> Sent | None:
        """Return a message the device still holds, or one of the life before that the broker sends again.

        A broker keeps the order: what came from before an erasure comes for the first time before what came after it.
        """
        oldest = self.life - came
        held = [one for one in self.sent if one.came == came and one.life >= oldest]
        return held[choice % len(held)] if held else None


class World:
    def __init__(self, *, timed: bool) -> None:
        self.admission = Admission(Registry(), AdmissionPolicy())
        self.devices = [Device(number, timed) for number in range(2)]
        self.now = 0
        self.counted: Counter[float] = Counter()
        self.fates: Counter[str] = Counter()

    def deliver(self, device: Device, sent: Sent | None) -> None:
        if sent is None:
            return
        before = self.admission.accounting.totals()
        topic = device_topic("site", f"device-{device.number}", TELEMETRY)
        admitted = self.admission.admit(Batch(Moment(START + self.now, self.now), [topic], [sent.payload]))
        after = self.admission.accounting.totals()
        (fate,) = [name for name in FATES if after[name] != before[name]]
        self.fates[fate] += 1
        self.counted.update(admitted.frame.value.tolist())
        aside = [] if admitted.not_known is None else admitted.not_known.value.tolist()
        assert (fate == "not_known") == (aside == [sent.value])
        assert self.counted[sent.value] <= 1, f"{sent} counted twice"
        assert sent.came or fate != "duplicate", f"{sent} never came"
        sent.came = True

    def play(self, what: str, device: Device, choice: int) -> None:
        self.now += 10
        number = self.admission.registry.find(f"device-{device.number}")
        match what:
            case "send":
                self.deliver(device, device.make(self.now))
            case "skip" if not device.unannounced:
                device.make(self.now)
            case "again" | "fill":
                self.deliver(device, device.pick(choice, came=what == "again"))
            case "reboot":
                device.boot, device.seq = device.boot + 1, 0
            case "erased":
                device.boot, device.seq, device.life = 1 + choice % device.boot, 0, device.life + 1
                device.unannounced = True
            case "born" if number is not None:
                device.unannounced = False
                birth = Birth(type="pump", boot=device.boot, next=device.seq, ts=START + self.now)
                self.admission.birth(number, birth, just_sent=True)
            case "retired" if number is not None:
                self.admission.retire(np.array([number]))


@pytest.mark.parametrize("timed", [True, False], ids=["with times", "without times"])
@settings(max_examples=150, deadline=None)
@given(history=events)
def test_nothing_counts_twice_and_what_never_came_is_no_duplicate(
    history: list[tuple[str, int, int]], timed: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boot_mark, "HOLES_KEPT", 2)
        patch.setattr(marks, "BOOTS_KEPT", 2)
        patch.setattr(forgotten, "RETIRED", 1 if timed else 10)
        world = World(timed=timed)
        for what, device, choice in history:
            world.play(what, world.devices[device], choice)
        assert imbalance(world.admission.accounting) == []
        sums: dict[str, Any] = world.admission.accounting.totals()
        assert {name: sums[name] for name in FATES} == {name: world.fates[name] for name in FATES}
