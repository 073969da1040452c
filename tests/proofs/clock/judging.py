"""What a gateway stored and raised, judged by true time and by what each device sent.

    windows     each reading is in one, at its device's time where that counts, else at the time it was taken
    alerts      each device was hot once; the one that fell silent was silent once, and no other
    problems    the clock is one while the fleet knows that it is wrong, and none once it is right
    withheld    no point is too old

While the gateway's clock is not believed, a time that is years ahead is taken as it is. A clock that is not sure is
voted on before it stamps a reading, so no other time is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import msgpack

from tests.proofs.clock.devices import UNIT, Device, Sent
from tests.proofs.clock.machines import Misfortune
from tests.proofs.ground.shifted_clock import WallClock

EVERY = 2_000
SILENCE_MS = 6_000
DELAY = 60_000
"""The longest a message waits for the gateway, ms."""
BY_DEVICE_TIME = {"right", "jitter", "behind", "ahead", "reboots behind", "backlog", "falls silent"}
"""Devices whose readings belong into the windows of their own times."""

WITHOUT_TIME = {"no clock", "years ahead"}
"""Devices whose readings have no time of their own, or none that is believed."""

Rows = Sequence[Mapping[str, Any]]
Mark = tuple[str, str, int]
"""Device, metric and bit of a reading."""


class Answers(NamedTuple):
    """What the gateway says: rows of `edge-gateway query`, and its status."""

    windows: Rows
    alerts: Rows
    quarantine: Rows
    report: Mapping[str, Any]


class Judge:
    """Judges a fleet's gateway; `clocks` are those that the gateway had."""

    def __init__(
        self, misfortune: Misfortune, devices: Sequence[Device], clocks: Collection[WallClock]
    ) -> None:
        self.misfortune = misfortune
        self.devices = devices
        self._unsure = not all(clock.synchronised for clock in clocks)
        self.wrong: list[str] = []

    def judge(self, answers: Answers) -> list[str]:
        """Return a sentence for each broken promise."""
        self._judge_alerts(answers.alerts)
        self._judge_windows(answers.windows, answers.quarantine)
        withheld = answers.report["counters"].get("points_beyond_retention", 0)
        if withheld:
            self.wrong.append(f"{withheld} points were withheld as too old")
        return self.wrong

    def judge_problems(self, during: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
        """Judge the status that was last seen while the clock was wrong, and the last one after it was set right."""
        if self.misfortune.wrong and not clock_problems(during):
            self.wrong.append("no problem says that the clock is wrong")
        if clock_problems(after):
            self.wrong.append(f"the clock is right, and still: {after['problems']}")
        return self.wrong

    # --- alerts

    def _judge_alerts(self, rows: Rows) -> None:
        fired = Counter((row["rule"], row["subject"]) for row in rows if row["state"] == "firing")
        for device in self.devices:
            hot, silent = fired["Hot", device.name], fired["Silent", device.name]
            sleeps = device.kind == "falls silent"
            if hot != (not sleeps) and not self._may_be_cold(device, hot):
                self.wrong.append(f"{device.kind}: hot {hot} times")
            if silent != sleeps and not was_silent(device):
                self.wrong.append(f"{device.kind}: silent {silent} times")

    def _may_be_cold(self, device: Device, hot: int) -> bool:
        """Readings without a time of their own wait while nobody knows the time, and may be too old then."""
        return hot == 0 and device.kind in WITHOUT_TIME and self.misfortune.wrong

    # --- windows

    def _judge_windows(self, windows: Rows, quarantine: Rows) -> None:
        found: dict[Mark, list[int]] = {}
        for row in windows:
            if not row["metric"].startswith("mark"):
                continue
            whole = round(row["sum"] / UNIT)
            bits = [bit for bit in range(whole.bit_length()) if whole >> bit & 1]
            if len(bits) != row["count"]:
                self.wrong.append(f"a reading counts twice: {row}")
            for bit in bits:
                found.setdefault((row["device"], row["metric"], bit), []).append(row["start"])
        aside = {(row["topic"].split("/")[3], *_numbers(bytes.fromhex(row["payload"]))) for row in quarantine}
        for device in self.devices:
            wrong = Counter(self._differences(device, found, aside))
            self.wrong += [f"{device.kind}: {count} readings {what}" for what, count in wrong.items()]

    def _differences(
        self, device: Device, found: Mapping[Mark, list[int]], aside: Collection[tuple[str, int, int]]
    ) -> Iterable[str]:
        by_its_time = device.kind in BY_DEVICE_TIME
        stamps = []
        for one in device.sent:
            starts = found.get((device.name, one.metric, one.bit), [])
            if len(starts) > 1:
                yield "in two windows"
            elif starts and by_its_time and starts[0] != (one.ts or 0) - (one.ts or 0) % EVERY:
                yield f"at a wrong time, by about {(starts[0] - (one.ts or 0)) // 1000} s"
            elif starts and not by_its_time:
                stamps.append((one, starts[0]))
            elif not starts and (device.name, *_numbers(one.delivery[1])) not in aside:
                yield "in no window, and not in quarantine"
            elif not starts and by_its_time:
                yield "in quarantine"
        yield from self._wrong_stamps(stamps)

    def _wrong_stamps(self, stamps: Iterable[tuple[Sent, int]]) -> Iterable[str]:
        """Yield what is wrong with the starts of the windows that hold these readings."""
        for one, start in stamps:
            as_it_is = self._unsure and one.ts is not None and start == one.ts - one.ts % EVERY
            if not (as_it_is or _is_at(start, one.taken)):
                yield f"at a wrong time, by about {(start - one.taken) // 1000} s"


def _is_at(start: int, taken: int) -> bool:
    """Whether a reading that was taken then, and stamped on arrival, may be in the window that starts at `start`."""
    return taken - taken % EVERY <= start <= taken + DELAY


def was_silent(device: Device) -> bool:
    """Whether the device was kept from sending for so long that it really was silent."""
    times = [one.taken for one in device.sent]
    return max(after - before for before, after in pairwise(times)) > SILENCE_MS / 2


def clock_problems(report: Mapping[str, Any]) -> list[str]:
    return [problem["code"] for problem in report["problems"] if problem["code"].startswith("clock")]


def _numbers(payload: bytes) -> tuple[int, int]:
    body = msgpack.unpackb(payload)
    return body["boot"], body["seq"]
