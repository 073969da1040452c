"""The clock of one device: which messages advance it, which are late, and when it is believed to have stepped back.

The clock belongs to the current boot: that of the newest birth; of a device that sends no births, the boot heard last.
Messages of other boots were kept by the device while it was offline, and say nothing about its clock.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from edge_gateway.fleet.arrivals.boot_mark import BELOW, FIRST, HIGHEST, NO_BOOT
from edge_gateway.fleet.timestamps import NO_TIME

IN_A_ROW: Final = 3
"""Messages in a row that must agree before a clock is believed to have stepped back …"""
SETTLED: Final = 500
"""… and the least listening time, ms, that they must span: messages kept by a device arrive faster than that."""
_SLACK: Final = 16
"""Device clocks may run faster than the listening clock by one part in this many."""


class Heard(NamedTuple):
    """A new message. Times in ms.

    Attributes:
        boot: its boot number.
        standing: BELOW, HIGHEST or FIRST.
        time: its newest sample.
        stamped: its samples carry no time of the device; they have that of their arrival.
        listening: the listening clock at its arrival.
        begins: the device has no clock, and the gateway's, which stands in for it, was set: it begins again here.
    """

    boot: int
    standing: int
    time: int
    stamped: bool
    listening: int
    begins: bool = False


class ClockVerdict(IntEnum):
    """What a message is to the clock.

    ADVANCES: its time is the device's newest. HELD: it is older by a small step; rules take it at the newest time.
    LATE: it is older and changes nothing. ASIDE: it is of another boot; rules never take it. STEPPED: with it the clock
    is believed to have stepped back, or begins again, and its time is the newest.
    """

    ADVANCES = 0
    HELD = 1
    LATE = 2
    ASIDE = 3
    STEPPED = 4


class Run(NamedTuple):
    """Messages of one boot, in a row by seq, whose times advance no faster than the listening clock.

    Attributes:
        boot: their boot.
        length: how many they are.
        ahead: time of the first one minus the listening clock, ms.
        since: the listening clock at the first one, ms.
    """

    boot: int
    length: int
    ahead: int
    since: int

    def then(self, heard: Heard) -> "Run":
        """Return the run with one more message; a new one if the message is of another boot or too far on."""
        allowed = self.ahead + (heard.listening - self.since) // _SLACK
        if heard.boot != self.boot or heard.time - heard.listening > allowed:
            return run_from(heard)
        return self._replace(length=self.length + 1)

    def is_enough(self, listening: int) -> bool:
        return self.length >= IN_A_ROW and listening - self.since >= SETTLED


def run_from(heard: Heard) -> Run:
    """Return a run that begins with this message."""
    return Run(heard.boot, 1, heard.time - heard.listening, heard.listening)


@dataclass(slots=True)
class DeviceClock:
    """The clock of one device.

    Attributes:
        boot: the current boot, NO_BOOT before the first message.
        newest: the newest time so far, ms; only a believed step lowers it.
        born: births say which boot is the current one.
        announced: the current boot's birth came with an older time: its first message with one is believed.
        run: the messages in a row that speak for a step, or for another boot of a device without births.
    """

    boot: int = NO_BOOT
    newest: int = NO_TIME
    born: bool = False
    announced: bool = False
    run: Run | None = None

    def birth(self, boot: int, time: int, max_step_back: int, *, anew: bool = False) -> None:
        """Take in a birth; `time` is NO_TIME if it has none, `anew` says that its boot begins anew under its number."""
        self.born = True
        if anew or boot != self.boot:
            self._begin(boot)
            self.announced = NO_TIME < time < self.newest - max_step_back

    def take(self, heard: Heard, max_step_back: int) -> ClockVerdict:
        """Take in a message; a step of up to `max_step_back` ms is a small one."""
        if heard.begins:
            self._advance(heard.time)
            return ClockVerdict.STEPPED
        if heard.boot != self.boot and not self._belongs(heard):
            return ClockVerdict.ASIDE
        if heard.time > self.newest or (heard.time == self.newest and heard.standing != BELOW):
            self._advance(heard.time)
            return ClockVerdict.ADVANCES
        if heard.stamped:
            return ClockVerdict.HELD
        if heard.standing == BELOW:
            return ClockVerdict.LATE
        return self._step_back(heard, max_step_back)

    def _step_back(self, heard: Heard, max_step_back: int) -> ClockVerdict:
        """Take in a message with the highest seq so far and an older time."""
        if self.newest - heard.time <= max_step_back:
            self._settle()
            return ClockVerdict.HELD
        if self.announced or self._is_enough(heard):
            self._advance(heard.time)
            return ClockVerdict.STEPPED
        return ClockVerdict.LATE

    def _belongs(self, heard: Heard) -> bool:
        """Whether a message of another boot makes that boot the current one.

        Where there are births, only a birth does. Else it is a boot never heard before, or one that goes on ahead of
        the current one as live messages do.
        """
        if self.born:
            return False
        anew = heard.standing == FIRST or self.boot == NO_BOOT
        if anew or (heard.standing == HIGHEST and heard.time >= self.newest and self._is_enough(heard)):
            self._begin(heard.boot)
            return True
        return False

    def _is_enough(self, heard: Heard) -> bool:
        self.run = run_from(heard) if self.run is None else self.run.then(heard)
        return self.run.is_enough(heard.listening)

    def _begin(self, boot: int) -> None:
        self.boot = boot
        self._settle()

    def _advance(self, time: int) -> None:
        self.newest = time
        self._settle()

    def _settle(self) -> None:
        self.announced, self.run = False, None
