"""The rules as their design states them: one reading at a time, one device at a time, in plain Python.

It shares no code with the gateway. What it knows of time, late readings and levels is what the pages of rules and
delivery say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.gateway.rules.reference.definitions import FOREVER, RANKS, Definition, Level
from tests.gateway.rules.reference.device import Birth, Device, Message
from tests.gateway.rules.reference.telling import Change, Deeds, Telling

ABSENT = "absent"


@dataclass
class State:
    """One rule on one device. By level: `on`; `up` and `down`, since when; `count`, at how many times in a
    row. `judged`: its now the last time.
    """

    on: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(RANKS, False))
    up: dict[str, int] = field(default_factory=dict)
    down: dict[str, int] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)
    absent: bool = False
    back: int = 0
    judged: int = 0
    state: str = "inactive"
    level: str = ""
    at: int = 0
    noticed: int = 0

    def waits(self) -> list[str]:
        return [level for level in RANKS if level in self.up and not self.on[level]]


class Interpreter:
    """`read` and `tick` give what happens as `Deeds`."""

    def __init__(
        self, rules: tuple[Definition, ...], lookbacks: dict[str, int], max_reading_age: int
    ) -> None:
        self.rules = rules
        self.lookbacks = lookbacks
        self.max_reading_age = max_reading_age
        self.devices: dict[str, Device] = {}
        self.states: dict[tuple[str, str], State] = {}
        self.telling = Telling()

    def device(self, name: str, site: str) -> Device:
        return self.devices.setdefault(name, Device(name, site, self.lookbacks))

    def born(self, birth: Birth) -> None:
        device = self.device(birth.device, birth.site)
        device.born = birth.listening if device.born is None else device.born
        device.following = max(device.following, birth.next_seq)
        for metric in birth.metrics:
            device.named.setdefault(metric, birth.listening)

    def _of(self, device: Device) -> Iterator[tuple[Definition, State]]:
        for rule in self.rules:
            if not rule.sites or device.site in rule.sites:
                yield rule, self.states.setdefault((rule.name, device.name), State())

    # --- readings

    def read(self, message: Message) -> list[Deeds]:
        self.telling.record = message.wall
        device = self.device(message.device, message.site)
        if message.seq in device.seqs:
            return []
        at = device.time_of(message)
        device.seqs.add(message.seq)
        ahead, old = at >= device.now_read, message.ts < message.wall - self.max_reading_age
        fresh = device.take(message, at)
        device.first = device.first or at
        if ahead:
            device.heard, device.old = message.listening, old
        found: list[Deeds] = []
        for rule, one in self._of(device):
            changes = self._read(rule, one, device, fresh, at)
            found += [self.telling.tell(rule, device.name, change, live=not old) for change in changes]
            if not old and fresh & set(_inputs(rule)):
                at_look = device.newest_of(_inputs(rule))
                told = self.telling.settle(rule, device.name, at_look)
                if told is not None:
                    one.noticed = max(one.noticed, told.at) if one.state == "firing" else one.noticed
                    found.append(told)
        return found

    def _read(self, rule: Definition, one: State, device: Device, fresh: set[str], at: int) -> list[Change]:
        now = device.newest_of(_inputs(rule))
        if max(now - device.first, 0) < rule.warmup:
            return []
        touched: list[str] = []
        found: list[Change] = []
        silence = rule.silence
        ends_silence = silence and silence.metric in fresh and device.now_read - at < silence.after
        if ends_silence and one.absent:
            one.back = one.back or now
            touched.append(ABSENT)
        if fresh & set(rule.reads):
            known_until = one.judged + max(map(device.lookback, rule.reads))
            if one.waits() and device.now_read > known_until:
                found += self._expire(rule, one, known_until)
            is_next, one.judged = now != one.judged, now
            for level in rule.levels:
                value, ends = self._values(device, rule, level)
                is_up, is_down = _sides(level, value, ends, above=rule.above)
                for_ms = rule.for_ms(level, device.site)
                _judge(one, level, now, for_ms, is_up=is_up, is_down=is_down, is_next=is_next)
            touched += RANKS
        if touched:
            self._switch_off(rule, one, device, now, touched)
            found += self._outcome(rule, one, now, "reading")
        return found

    def _values(
        self, device: Device, rule: Definition, level: Level
    ) -> tuple[float | bool | None, float | bool | None]:
        """The value of a level's expression, and of the condition that ends it."""
        found = [
            None
            if each is None
            else each.of(device.known, lambda metric, ms: self._samples(device, rule, metric, ms))
            for each in (level.own or rule.expression, level.ends)
        ]
        return found[0], found[1]

    def _samples(self, device: Device, rule: Definition, metric: str, ms: int) -> list[tuple[int, float]]:
        now = device.newest_of(_inputs(rule))
        return [(at, value) for at, value in device.history.get(metric, []) if now - ms < at <= now]

    def _expire(self, rule: Definition, one: State, at: int) -> list[Change]:
        for level in one.waits():
            del one.up[level]
        return self._outcome(rule, one, at, "expired")

    # --- levels

    def _raised(self, rule: Definition, one: State) -> list[str]:
        """What makes the alert fire, the highest first; silence before a level of its rank."""
        raised = [level for level in reversed(RANKS) if one.on[level]]
        if one.absent and rule.silence and rule.silence.state == "alerting":
            rank = RANKS.index(rule.silence.level)
            higher = [level for level in raised if RANKS.index(level) > rank]
            raised.insert(len(higher), ABSENT)
        return raised

    def _switch_off(self, rule: Definition, one: State, device: Device, at: int, names: list[str]) -> None:
        if one.absent and one.back and rule.silence and rule.silence.state != "alerting" and ABSENT in names:
            one.absent, one.back = False, 0
        for name in self._raised(rule, one):
            since = one.back if name == ABSENT else one.down.get(name, 0)
            keep = rule.keep_ms(device.site) if len(self._raised(rule, one)) == 1 else 0
            if name not in names or not since or at - since < keep:
                continue
            if name == ABSENT:
                one.absent, one.back = False, 0
            else:
                one.on[name] = False

    def _outcome(self, rule: Definition, one: State, at: int, cause: str) -> list[Change]:
        raised = self._raised(rule, one)
        if raised:
            assert rule.silence or ABSENT not in raised
            levels = [rule.silence.level if each == ABSENT and rule.silence else each for each in raised]
            return self._fires(one, max(levels, key=RANKS.index), at, cause)
        found = []
        waits = [level for level in RANKS if level in one.up]
        if one.state == "firing":
            found.append(Change(max(at, one.at), "resolved", cause, "resolved", one.level, one.level))
        elif one.state == "pending" and not waits:
            found.append(Change(max(at, one.at), "resolved", cause, "inactive", one.level, None))
        if found:
            one.state, at = "inactive", found[0].at
        if waits and one.state == "inactive":
            one.state, one.level, one.at = "pending", waits[-1], at
            found.append(Change(at, "pending", cause, "pending", one.level, None))
        return found

    def _fires(self, one: State, level: str, at: int, cause: str) -> list[Change]:
        if one.state == "firing" and level == one.level:
            return []
        previous = one.level if one.state == "firing" else None
        at = max(at, one.at) if one.state != "inactive" else at
        if previous is None:
            event = "firing"
        else:
            event = "escalated" if RANKS.index(level) > RANKS.index(previous) else "deescalated"
        one.state, one.level, one.at, one.noticed = "firing", level, at, at
        return [Change(at, event, cause, "firing", level, previous)]

    # --- time

    def tick(self, listening: int, wall: int) -> list[Deeds]:
        self.telling.record = wall
        found: list[tuple[int, int, int, Definition, str, Change, bool]] = []
        for place, device in enumerate(self.devices.values()):
            for number, rule in enumerate(self.rules):
                if rule.sites and device.site not in rule.sites:
                    continue
                one = self.states.setdefault((rule.name, device.name), State())
                for change in self._pass(rule, one, device, listening, wall):
                    live = self._is_live(device, change, listening, wall)
                    found.append((change.at, place, number, rule, device.name, change, live))
        for place, device in enumerate(self.devices.values()):
            for rule, one in self._of(device):
                if rule.repeat and one.state == "firing":
                    age = device.now(listening) - one.noticed
                    if age >= rule.repeat:
                        one.noticed = device.now(listening) - age % rule.repeat
                        change = Change(one.noticed, "repeat", "time", "firing", one.level, one.level)
                        found.append(
                            (
                                one.noticed,
                                place,
                                self.rules.index(rule),
                                rule,
                                device.name,
                                change,
                                not device.old,
                            )
                        )
        found.sort(key=lambda each: each[:3])
        return [self.telling.tell(rule, name, change, live=live) for *_, rule, name, change, live in found]

    def _is_live(self, device: Device, change: Change, listening: int, wall: int) -> bool:
        if change.cause == "no_data":
            return True
        if change.event in {"firing", "escalated"}:
            age = max(listening - device.heard, wall - device.now_read)
            return not device.old and age <= self.max_reading_age
        return not device.old

    def _pass(self, rule: Definition, one: State, device: Device, listening: int, wall: int) -> list[Change]:
        found: list[Change] = []
        self._end_unexpected(rule, one, device, listening)
        silent = self._silent_since(rule, device, listening, wall)
        expires = self._expires(rule, one, device)
        while True:
            now = device.now(listening)
            moments = [(at, 0) for at in self._timers(rule, one, device) if at <= now]
            if one.waits() and expires is not None and expires < now:
                moments.append((expires, 1))
            if silent is not None and rule.silence and (not one.absent or one.back):
                moments.append((silent, 2))
            if not moments:
                return found
            at, kind = min(moments)
            if kind == 1:
                found += self._expire(rule, one, at)
            elif kind == 2:
                silent = None
                found += self._miss(rule, one, device, at)
            else:
                for level in rule.levels:
                    if (
                        level.name in one.waits()
                        and one.up[level.name] + rule.for_ms(level, device.site) <= at
                    ):
                        one.on[level.name] = True
                self._switch_off(rule, one, device, at, [*RANKS, ABSENT])
                found += self._outcome(rule, one, at, "time")

    def _timers(self, rule: Definition, one: State, device: Device) -> list[int]:
        keep = rule.keep_ms(device.site) if len(self._raised(rule, one)) == 1 else 0
        found = [one.up[name] + rule.for_ms(rule.level_of[name], device.site) for name in one.waits()]
        found += [one.down[name] + keep for name in RANKS if one.on[name] and name in one.down]
        if one.absent and one.back:
            alerts = rule.silence is not None and rule.silence.state == "alerting"
            found.append(one.back + (keep if alerts else 0))
        return found

    def _expires(self, rule: Definition, one: State, device: Device) -> int | None:
        """Until when the value that a wait is for is known: one of its inputs is too old then."""
        if not one.waits():
            return None
        read = {metric: device.seen[metric].at for metric in rule.reads if metric in device.seen}
        newest = max(read.values())
        return min(
            at + device.lookback(metric)
            for metric, at in read.items()
            if newest - at <= device.lookback(metric)
        )

    def _silent_since(self, rule: Definition, device: Device, listening: int, wall: int) -> int | None:
        """Since when the watched metric counts as missing; None if it does not."""
        silence = rule.silence
        if silence is None or (silence.state == "keep_last" and not rule.commands_silence):
            return None
        here = device.now(listening) if device.first else wall
        if silence.metric in device.seen:
            due = device.seen[silence.metric].at + silence.after
        else:
            expected = device.named.get(silence.metric, None if device.first else device.born)
            if expected is None:
                return None
            due = here - (listening - expected) + silence.after
        if device.first:
            due = max(due, device.first + rule.warmup)
        return due if due <= here else None

    def _end_unexpected(self, rule: Definition, one: State, device: Device, listening: int) -> None:
        """A device that was silent altogether has sent something, and the metric is not expected of it."""
        if rule.silence is None or not one.absent or one.back or not device.first:
            return
        keep = rule.keep_ms(device.site) if rule.silence.state == "alerting" else 0
        expected = rule.silence.metric in device.seen or rule.silence.metric in device.named
        if not expected and device.first + keep <= device.now(listening):
            one.back = device.first

    def _miss(self, rule: Definition, one: State, device: Device, at: int) -> list[Change]:
        assert rule.silence is not None
        one.absent, one.back = True, 0
        if rule.silence.state == "ok":
            one.on, one.up, one.down = dict.fromkeys(RANKS, False), {}, {}
        found = []
        if rule.silence.state in {"ok", "alerting"}:
            self._switch_off(rule, one, device, at, [*RANKS, ABSENT])
            found = self._outcome(rule, one, at, "no_data")
        told = any(change.cause == "no_data" for change in found)
        if rule.silence.state == "no_data" or (rule.commands_silence and not told):
            fires = one.state == "firing"
            level = one.level if fires else rule.silence.level
            state, previous = ("firing", level) if fires else ("inactive", None)
            found.append(Change(at, "no_data", "no_data", state, level, previous))
        return found


def _inputs(rule: Definition) -> tuple[str, ...]:
    return (*rule.reads, rule.silence.metric) if rule.silence else rule.reads


def _sides(
    level: Level, value: float | bool | None, ends: float | bool | None, *, above: bool
) -> tuple[bool, bool]:
    """Whether a level is beyond its limit, and whether it is clear."""
    if level.ends is not None:
        return value is True and ends is not True, ends is True
    if value is None:
        return False, False
    if level.limit is None:
        return value is True, value is False
    clear = level.limit if level.clear is None else level.clear
    return (value > level.limit, value <= clear) if above else (value < level.limit, value >= clear)


def _judge(
    one: State, level: Level, now: int, for_ms: int, *, is_up: bool, is_down: bool, is_next: bool
) -> None:
    counted = one.count.get(level.name, 0) + is_next if level.name in one.up else 1
    one.count[level.name] = counted if is_up else 0
    for holds, since in ((is_up, one.up), (is_down, one.down)):
        if holds:
            since.setdefault(level.name, now)
        else:
            since.pop(level.name, None)
    by_count = for_ms == FOREVER and one.count[level.name] >= level.readings
    if is_up and (by_count or now - one.up[level.name] >= for_ms):
        one.on[level.name] = True
