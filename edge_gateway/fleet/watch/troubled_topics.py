"""Which publishers nothing is taken from, and why: by topic, because what they send may never lead to a device.

    a message in quarantine ─▶ its topic is in trouble ──(a good message on it, or a day of silence)──▶ forgotten

Topics of registered devices are all held, three a device. Of strangers, whose number nothing else bounds, as many as
there is room for: those heard again before those heard once, and a few of each name, so that a flood of invented names
hides nobody who is really there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from fleet_wire.printable import printable

MOST_STRANGERS = 1_000
MOST_A_NAME = 4
"""Topics held of one name of a stranger."""
LONGEST_TOPIC = 200
IN_A_ROW = 3
"""Messages in a row of a registered device that must be bad: one that is damaged on its way is no trouble."""
FORGOTTEN = 86_400_000
"""Milliseconds of the listening clock after which a silent topic is forgotten."""
GIVES_WAY = 600_000
"""Milliseconds of silence after which a stranger that was heard again gives way to a new one."""
_LEVELS = 5


class Trouble(NamedTuple):
    """What is wrong on a topic; `since` and `at` (the newest) on the listening clock, in ms."""

    reason: str
    times: int
    since: int
    at: int


_Held = dict[str, Trouble]
"""By topic; who was heard last stands last."""


class TroubledTopics:
    """Topics on which everything of late went to quarantine."""

    def __init__(self) -> None:
        self._known: _Held = {}
        self._once: _Held = {}
        self._again: _Held = {}
        self._held_in: dict[str, _Held] = {}
        """Which of the three holds a topic."""
        self._names: dict[str, set[str]] = {}
        """Topics of strangers by the name in them."""
        self.left_out = 0
        """Messages of strangers for whom there was no room."""

    def __len__(self) -> int:
        return len(self._held_in)

    def __contains__(self, topic: str) -> bool:
        return topic in self._held_in

    def quarantined(self, topic: str, reason: str, now: int, *, known: bool) -> None:
        """Take in that a message went to quarantine; `known`: the topic is a registered device's."""
        topic = topic[:LONGEST_TOPIC]
        before = self._take_out(topic)
        trouble = Trouble(printable(reason), 1, now, now)
        if before is not None:
            trouble = trouble._replace(times=before.times + 1, since=before.since)
        if known:
            self._put(self._known, topic, trouble)
        elif self._make_room(topic, now):
            self._put(self._again if before else self._once, topic, trouble)
            self._names.setdefault(name_of(topic), set()).add(topic)
        else:
            self.left_out += 1

    def reason(self, topic: str) -> str:
        """Return why a topic is in trouble; "" where it is not."""
        held = self._held_in.get(topic)
        return "" if held is None else held[topic].reason

    def accepted(self, topic: str) -> None:
        """Take in that a message was taken: the troubles of its topic are over."""
        self._take_out(topic)

    def touches(self, topics: Iterable[str]) -> bool:
        """Whether one of these topics is in trouble."""
        return bool(self._held_in) and not self._held_in.keys().isdisjoint(topics)

    def current(self, now: int) -> Iterator[tuple[str, Trouble]]:
        """Yield (topic, trouble) of all that are in trouble at `now`, the longest first."""
        strangers = [*self._once.items(), *self._again.items()]
        known = [(topic, one) for topic, one in self._known.items() if one.times >= _enough(topic)]
        found = [(topic, one) for topic, one in (*known, *strangers) if now - one.at < FORGOTTEN]
        yield from sorted(found, key=lambda pair: (pair[1].since, pair[0]))

    def _put(self, held: _Held, topic: str, trouble: Trouble) -> None:
        held[topic] = trouble
        self._held_in[topic] = held

    def _take_out(self, topic: str) -> Trouble | None:
        held = self._held_in.pop(topic, None)
        if held is None:
            return None
        if held is not self._known:
            self._unname(topic)
        return held.pop(topic)

    def _heard(self, topic: str) -> tuple[int, str]:
        """When a stranger's topic was heard last, for comparison."""
        trouble = self._once.get(topic) or self._again[topic]
        return trouble.at, topic

    def _unname(self, topic: str) -> None:
        name = name_of(topic)
        of_name = self._names[name]
        of_name.discard(topic)
        if not of_name:
            del self._names[name]

    def _make_room(self, topic: str, now: int) -> bool:
        """Let a stranger give way to a new one where there are too many; whether one could."""
        self._forget_silent(now)
        of_name = self._names.get(name_of(topic), ())
        if len(of_name) >= MOST_A_NAME:
            self._take_out(min(of_name, key=self._heard))
        if len(self._once) + len(self._again) < MOST_STRANGERS:
            return True
        longest = next(iter(self._once or self._again))
        if not self._once and now - self._again[longest].at < GIVES_WAY:
            return False
        self._take_out(longest)
        return True

    def _forget_silent(self, now: int) -> None:
        for held in (self._known, self._once, self._again):
            while held and now - next(iter(held.values())).at >= FORGOTTEN:
                self._take_out(next(iter(held)))

    def snapshot(self) -> dict[str, Any]:
        held = {name: [[topic, *one] for topic, one in getattr(self, name).items()] for name in _HELD}
        return {**held, "left_out": self.left_out}

    def restore(self, state: dict[str, Any]) -> None:
        self._names, self._held_in = {}, {}
        for name in _HELD:
            held = getattr(self, name)
            held.clear()
            for topic, *facts in state[name]:
                self._put(held, topic, Trouble(*facts))
        for topic in (*self._once, *self._again):
            self._names.setdefault(name_of(topic), set()).add(topic)
        self.left_out = state["left_out"]


_HELD = ("_known", "_once", "_again")


def name_of(topic: str) -> str:
    """Return the device's name in a topic, or the topic where it has no such level."""
    levels = topic.split("/")
    return levels[3] if len(levels) == _LEVELS else topic


def _enough(topic: str) -> int:
    """Messages in a row that must be bad: births and acks are rare, and each counts."""
    return IN_A_ROW if topic.endswith("/telemetry") else 1
