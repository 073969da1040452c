"""The one mechanism that decides whether an alert is told.

    change ─▶ judge: silences, inhibits, flapping; of a repeat the acknowledgement ─▶ told | muted, and by what
                                                                                        │
    a mute ends ─▶ release: does it still fire, or end while it flapped? ─▶ told once ◀─┘ withheld

Muting stops notices, and commands where a silence or an inhibit says so. It never touches the state of an alert, and
each transition says what muted it. An end is told to whom the beginning was told, whatever mutes the alert by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edge_gateway.rules.muting.acknowledgements import ACKNOWLEDGED, Acknowledgements
from edge_gateway.rules.muting.flapping import FLAPPING, Flapping
from edge_gateway.rules.muting.inhibition import Inhibition
from edge_gateway.rules.muting.notices import Notices
from edge_gateway.rules.muting.silences import Silences

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_gateway.records.alerts import Transition
    from edge_gateway.records.inputs import Moment
    from edge_gateway.rules.alerts.state_machine import StateChange
    from edge_gateway.rules.language.inhibits import Inhibit
    from edge_gateway.rules.muting.silences import Silence
    from edge_gateway.rules.muting.subject import AlertSubject, Key, Mute

REPORTS: Final = frozenset({"repeat", "no_data"})
"""Events that tell again how an alert is, and change nothing."""
FINAL: Final = frozenset({"removed", "moved", "retired"})
"""Causes of an end after which the rule judges the subject no more."""
MOST_NAMED: Final = 8
"""Silences and inhibits that a transition names."""
PARTS: Final = ("silences", "inhibition", "flapping", "acknowledgements", "notices")


class MuteVerdict(NamedTuple):
    """What mutes the notice of a change, whether its commands are muted, and whether the alert is acknowledged."""

    by: tuple[str, ...] = ()
    commands: bool = False
    acked: bool = False


class Muting:
    """All that mutes alerts, what was told of them, and what was not.

    Attributes:
        listening: the listening clock now, ms.
        monotonic: monotonic time of the input that is folded, ms.
        stale: whether something that muted may have ended since `release` last looked.
        moved: whether time ended something since `pass_time` was called last.
    """

    def __init__(self) -> None:
        self.silences = Silences()
        self.inhibition = Inhibition()
        self.flapping = Flapping()
        self.acknowledgements = Acknowledgements()
        self.notices = Notices()
        self.listening = 0
        self.monotonic = 0
        self.stale = False
        self.moved = False

    # --- changes of alerts

    def mutes(self, subject: AlertSubject) -> list[Mute]:
        """What mutes an alert now, flapping and its acknowledgement apart."""
        return [*self.silences.muting(subject), *self.inhibition.muting(subject)]

    def standing(self, subject: AlertSubject) -> tuple[str, ...]:
        """What mutes an alert as it stands, its acknowledgement apart."""
        flaps = (FLAPPING,) if subject.key in self.flapping else ()
        return (*(mute.by for mute in self.mutes(subject)[:MOST_NAMED]), *flaps)

    def judge(self, subject: AlertSubject, change: StateChange, alert: str, *, live: bool) -> MuteVerdict:
        """Decide whether a change is told; what is not `live` tells nothing anyway, and an `alert` has no id at first.

        A wait that begins or ends is told to nobody.
        """
        given = self.acknowledgements.of(subject.key, alert)
        acked = given is not None and change.event != "escalated"
        if not live or not (change.state in ("firing", "resolved") or change.cause == "no_data"):
            return MuteVerdict(acked=acked)
        mutes = self.mutes(subject)
        by = tuple(mute.by for mute in mutes[:MOST_NAMED])
        if change.event == "repeat" and acked:
            by = (*by, ACKNOWLEDGED)
        if change.event not in REPORTS:
            by = self._by_history(subject, change, by)
        return MuteVerdict(by, any(mute.commands for mute in mutes), acked)

    def _by_history(self, subject: AlertSubject, change: StateChange, by: tuple[str, ...]) -> tuple[str, ...]:
        """What mutes a change, by how often there were others, and by whether anybody was told before."""
        key, ends = subject.key, change.state == "resolved"
        untold = self.notices.withheld.get(key)
        counts = change.event != "released"
        if change.cause not in FINAL and self._flaps(key, None if ends else change.rank, counts=counts):
            return (*by, FLAPPING)
        if ends and key in self.notices.heard:
            return ()
        return by or untold.by if ends and untold is not None else by

    def _flaps(self, key: Key, rank: int | None, *, counts: bool) -> bool:
        """Whether flapping mutes a change to `rank`, or the end; one that only tells what was owed does not count."""
        if not counts:
            return self.flapping.mutes(key, rank)
        many = len(self.flapping)
        muted = self.flapping.change(key, rank, self.listening)
        self.stale |= len(self.flapping) < many
        return muted

    def follow(
        self, subject: AlertSubject, change: StateChange, transition: Transition, *, live: bool
    ) -> None:
        """Note a change that was judged, and its transition."""
        key, by = subject.key, transition.suppressed
        if change.state == "firing" or change.event == "resolved":
            self.inhibition.change(subject, fires=change.state == "firing")
        self.acknowledgements.follow(key, transition, self.monotonic)
        if not live or change.state not in ("firing", "resolved"):
            return
        if not by:
            self.notices.tell(key, transition.id, change)
        elif change.event in REPORTS:
            return
        elif change.state == "firing" or (FLAPPING in by and change.cause not in FINAL):
            self.notices.withhold(key, transition.id, change, by)
        else:
            self.notices.forget(key)

    def settle(self) -> None:
        """Note the end of what one input changes: the sources of inhibits that ended with it do so now."""
        self.stale |= self.inhibition.settle(self.listening)

    # --- time and operators

    def pass_time(self) -> None:
        """End the waits of inhibits, and the flapping of alerts that have been quiet for long."""
        ended = self.inhibition.end_waits(self.listening)
        ended |= bool(self.flapping.end_quiet(self.listening))
        self.stale |= ended
        self.moved = ended

    def silence(self, silence: Silence) -> Silence:
        """Let a silence begin; it is returned with its number."""
        return self.silences.add(silence)

    def end_silence(self, number: int) -> Silence | None:
        """End a silence, and return it; None if there is none of this number."""
        self.stale = True
        return self.silences.end(number)

    def end_silences(self, moment: Moment) -> list[Silence]:
        """End the silences that are over at this moment, and return them."""
        ended = self.silences.end_due(moment)
        self.stale |= bool(ended)
        return ended

    def replace_inhibits(self, inhibits: Sequence[Inhibit], firing: Iterable[AlertSubject]) -> None:
        """Take over the inhibits of other rules; `firing`: the alerts that fire under these."""
        self.inhibition = self.inhibition.replaced(inhibits, firing)
        self.stale = True

    # --- snapshots

    def snapshot(self) -> dict[str, Any]:
        return {name: getattr(self, name).snapshot() for name in PARTS}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a snapshot, under the inhibits of its rules: `inhibition` must have them."""
        self.stale = True
        for name in PARTS:
            getattr(self, name).restore(state[name])
