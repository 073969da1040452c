"""Topics on which every recent message was quarantined, and why. By topic, because there may be no device.

    a quarantined message ─▶ its topic is in trouble ──(an accepted message, or a day of silence)──▶ forgotten

All topics of registered devices are held: three per device. Strangers, whose number nothing else bounds, are held up to
a limit. Those heard repeatedly are preferred to those heard once, and each device name gets a few topics only, so that
a flood of invented names does not hide a real device.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from fleet_wire.printable import printable

MOST_STRANGERS = 1_000
MOST_A_NAME = 4
"""Most topics held for one device name of strangers."""
LONGEST_TOPIC = 200
IN_A_ROW = 3
"""Telemetry messages in a row of a registered device that must be quarantined before its topic counts as troubled."""
FORGOTTEN = 86_400_000
"""Milliseconds of the listening clock after which a silent topic is forgotten."""
GIVES_WAY = 600_000
"""Silence, in ms, after which a stranger that was heard repeatedly makes way for a new one."""
_LEVELS = 5


class Trouble(NamedTuple):
    """Why messages on a topic are quarantined, and how many were, from `since` to `at` (ms of the listening clock)."""

    reason: str
    times: int
    since: int
    at: int


_Held = dict[str, Trouble]
"""By topic, the one heard last at the end."""


class TroubledTopics:
    """Topics whose newest messages were all quarantined."""

    def __init__(self) -> None:
        self._known: _Held = {}
        self._once: _Held = {}
        self._again: _Held = {}
        self._held_in: dict[str, _Held] = {}
        """Which of the three holds each topic."""
        self._names: dict[str, set[str]] = {}
        """Topics of strangers by device name."""
        self.left_out = 0
        """Messages of strangers that were not noted for lack of room."""

    def __len__(self) -> int:
        return len(self._held_in)

    def __contains__(self, topic: str) -> bool:
        return topic in self._held_in

    def quarantined(self, topic: str, reason: str, now: int, *, known: bool) -> None:
        """Note that a message was quarantined; `known` if the topic is a registered device's."""
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
        """Return why a topic is in trouble; "" if it is not."""
        held = self._held_in.get(topic)
        return "" if held is None else held[topic].reason

    def accepted(self, topic: str) -> None:
        """Note that a message was accepted: its topic is no longer in trouble."""
        self._take_out(topic)

    def forget(self, name: str) -> None:
        """Forget the topics of a publisher, given its name as it is shown."""
        for topic in [topic for topic in self._held_in if shown_name(topic) == name]:
            self._take_out(topic)

    def names(self) -> set[str]:
        """Return the names of all publishers in trouble, as they are shown."""
        return set(map(shown_name, self._held_in))

    def touches(self, topics: Iterable[str]) -> bool:
        """Whether one of these topics is in trouble."""
        return bool(self._held_in) and not self._held_in.keys().isdisjoint(topics)

    def current(self, now: int) -> Iterator[tuple[str, Trouble]]:
        """Yield (topic, trouble) for all topics in trouble at `now`, the longest first."""
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
        """Return when a stranger's topic was last heard, as a sort key."""
        trouble = self._once.get(topic) or self._again[topic]
        return trouble.at, topic

    def _unname(self, topic: str) -> None:
        name = name_of(topic)
        of_name = self._names[name]
        of_name.discard(topic)
        if not of_name:
            del self._names[name]

    def _make_room(self, topic: str, now: int) -> bool:
        """Make room for a new stranger, dropping another if necessary; return whether there is room."""
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
    """Return the device name in a topic, or the whole topic if it has no such level."""
    levels = topic.split("/")
    return levels[3] if len(levels) == _LEVELS else topic


def shown_name(topic: str) -> str:
    """Return the name of a publisher as people see it and give it back: safe to print, at most 64 characters."""
    return printable(name_of(topic), 64)


def _enough(topic: str) -> int:
    """Return how many quarantined messages make a topic troubled: births and acks are rare, so one is enough."""
    return IN_A_ROW if topic.endswith("/telemetry") else 1
