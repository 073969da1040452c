"""The rules as their design states them: one reading at a time, one device at a time, in plain Python.

It shares no code with the gateway. What it knows of time, late readings and levels is what the pages of rules and
delivery say. Where these leave it open: a level whose times ended is told with the next reading that judges it, else
with the next tick; a silence that falls due and whose times end between two ticks is not told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.gateway.rules.reference.definitions import RANKS, Definition, Level, RuleFile
from tests.gateway.rules.reference.device import Birth, Device, Look, Message, Will, ranges_of
from tests.gateway.rules.reference.passing import Clocks, ends, pass_time
from tests.gateway.rules.reference.reloading import carry, is_reset, kept_ranges
from tests.gateway.rules.reference.state import ABSENT, State, Truth, sides
from tests.gateway.rules.reference.telling import Change, Deeds, Telling
from tests.gateway.rules.reference.week import holds


class Settings(NamedTuple):
    """`max_reading_age` of commands, ms; the zones of sites, and that of all others."""

    max_reading_age: int
    zones: dict[str, str]
    zone: str = "UTC"


class _Due(NamedTuple):
    """A change with time; `order`: of its time, or that of the one before it, of device and rule."""

    order: tuple[int, int, int]
    rule: Definition
    device: Device
    change: Change
    live: bool


class Interpreter:
    """Every call gives what happens as `Deeds`."""

    def __init__(self, file: RuleFile, settings: Settings) -> None:
        self.file = file
        self.settings = settings
        self.devices: dict[str, Device] = {}
        self.states: dict[tuple[str, str], State] = {}
        self.telling = Telling()

    def device(self, name: str, site: str) -> Device:
        return self.devices.setdefault(name, Device.of(name, site, self.file))

    def _zone(self, device: Device) -> str:
        return self.settings.zones.get(device.site, self.settings.zone)

    def _of(self, device: Device) -> Iterator[tuple[Definition, State]]:
        for rule in self.file.rules:
            if not rule.sites or device.site in rule.sites:
                yield rule, self.states.setdefault((rule.name, device.name), State())

    # --- births and wills

    def born(self, birth: Birth) -> list[Deeds]:
        device = self.device(birth.device, birth.site)
        before = device.clock.boot
        device.clock.birth(birth.boot, birth.next_seq, birth.ts)
        device.born = birth.listening if device.born is None else device.born
        device.names = birth.metrics
        for metric in birth.metrics:
            device.named.setdefault(metric, birth.listening)
        return [] if birth.boot == before else self._lose_all(device, birth.listening)

    def left(self, will: Will) -> list[Deeds]:
        device = self.device(will.device, will.site)
        return self._lose_all(device, will.listening)

    def _lose_all(self, device: Device, listening: int) -> list[Deeds]:
        device.recorded.lose()
        return self._end_lost_waits(device, device.inputs.lose(), listening)

    def _end_lost_waits(self, device: Device, lost: set[str], listening: int) -> list[Deeds]:
        """End what waits on values that count while the device is online, and were lost."""
        return [
            self.telling.tell(rule, device.name, change, live=not device.old)
            for rule, one in self._of(device)
            if one.waits() and lost & set(rule.reads)
            for change in one.expire(rule, device.now(listening))
        ]

    # --- readings

    def read(self, message: Message) -> list[Deeds]:
        self.telling.record = message.wall
        device = self.device(message.device, message.site)
        if (message.boot, message.seq) in device.seqs:
            return []
        device.seqs.add((message.boot, message.seq))
        at, stepped = device.clock.take(message.boot, message.seq, message.ts, message.listening)
        if at is None:
            return []
        if stepped:
            self._go_back(device, at, message.listening)
        ahead, old = at >= device.now_read, message.ts < message.wall - self.settings.max_reading_age
        look = device.take(message, at)
        device.first = device.first or at
        if ahead:
            device.heard, device.old = message.listening, old
        found: list[Deeds] = []
        for rule, one in self._of(device):
            changes = self._read(rule, one, device, look)
            found += [self.telling.tell(rule, device.name, change, live=not old) for change in changes]
            if not old and look.fresh & set(rule.inputs):
                settled = self.telling.settle(rule, device.name, device.inputs.newest_of(rule.inputs))
                if settled is not None:
                    change, told = settled
                    one.noticed = max(one.noticed, change.at) if one.state == "firing" else one.noticed
                    found.append(told)
        return found

    def _go_back(self, device: Device, at: int, listening: int) -> None:
        by = device.go_back(at, listening)
        for _, one in self._of(device):
            one.shift(by)
        self.telling.shift(device.name, by)

    def _read(self, rule: Definition, one: State, device: Device, look: Look) -> list[Change]:
        now = device.inputs.newest_of(rule.inputs)
        if max(now - device.first, 0) < rule.warmup:
            return []
        silence, zone = rule.silence, self._zone(device)
        judges = RANKS if look.fresh & set(rule.reads) else ()
        ends_silence = silence and silence.metric in look.fresh and device.now_read - look.at < silence.after
        touched = [*judges, *([ABSENT] if ends_silence and one.absent else [])]
        if not touched:
            return []
        ended = ends(rule, one, zone, now, [level for level in touched if level in one.busy()])
        found = self._end_before(rule, one, device, ended, judges=bool(judges))
        if ABSENT in touched and all(holds(times, zone, now) for times in rule.times(ABSENT)):
            one.back = one.back or now
        for level in rule.levels if judges else ():
            self._judge(rule, one, device, level, now)
        one.judged |= dict.fromkeys(touched, now)
        one.switch_off(rule, rule.keep_ms(device.site), now, touched)
        return found + one.outcome(rule, now, "reading")

    def _end_before(
        self, rule: Definition, one: State, device: Device, ended: dict[str, int], *, judges: bool
    ) -> list[Change]:
        """End what had ended before a reading, in order of time."""
        found: list[Change] = []
        waits = [one.judged[level] for level in one.waits()] if judges else []
        known_until = max(waits) + max(map(device.inputs.lookback, rule.reads)) if waits else device.now_read
        if device.now_read > known_until:
            found += one.close(rule, {level: at for level, at in ended.items() if at <= known_until})
            ended = {level: at for level, at in ended.items() if at > known_until}
            found += one.expire(rule, known_until) if one.waits() else []
        return found + one.close(rule, ended)

    def _judge(self, rule: Definition, one: State, device: Device, level: Level, now: int) -> None:
        zone = self._zone(device)
        values = self._values(device, rule, level)
        is_up, is_down = sides(rule, level, values, zone, now)
        if not all(holds(times, zone, now) for times in rule.times(level.name)):
            is_up = is_down = False
        is_next = now != one.judged.get(level.name)
        for_ms = rule.for_ms(level, device.site)
        one.value[level.name] = values[0]
        one.judge(level, now, for_ms, is_up=is_up, is_down=is_down, is_next=is_next)

    def _values(self, device: Device, rule: Definition, level: Level) -> tuple[Truth, Truth]:
        """The value of a level's expression, and of the condition that ends it."""
        now = device.inputs.newest_of(rule.inputs)
        found = [
            None
            if each is None
            else each.of(
                lambda metric: device.inputs.known(metric, device.now_read),
                lambda metric, ms, family: device.inputs.samples(metric, ms, family, now),
            )
            for each in (level.own or rule.expression, level.ends)
        ]
        return found[0], found[1]

    # --- time

    def tick(self, listening: int, wall: int) -> list[Deeds]:
        self.telling.record = wall
        found: list[_Due] = []
        latest: dict[tuple[str, str], int] = {}
        missed: set[tuple[str, str]] = set()
        for place, device in enumerate(self.devices.values()):
            for rule, one in self._of(device):
                changes, metric = pass_time(rule, one, device, Clocks(listening, wall, self._zone(device)))
                missed |= {(device.name, metric)} if metric else set()
                number = self.file.rules.index(rule)
                for change in changes:
                    live = self._is_live(device, change, listening, wall)
                    at = max(change.at, latest.get((device.name, rule.name), 0))
                    if change.event != "no_data":
                        latest[device.name, rule.name] = at
                    found.append(_Due((at, place, number), rule, device, change, live))
        found = sorted([*found, *self._repeats(listening, latest)], key=lambda due: due.order)
        told = [
            self.telling.tell(rule, device.name, change, live=live) for _, rule, device, change, live in found
        ]
        for name, metric in sorted(missed, key=lambda each: (list(self.devices).index(each[0]), each[1])):
            device = self.devices[name]
            device.recorded.lose([metric])
            told += self._end_lost_waits(device, device.inputs.lose([metric]), listening)
        return told

    def _repeats(self, listening: int, latest: dict[tuple[str, str], int]) -> Iterator[_Due]:
        for place, device in enumerate(self.devices.values()):
            for rule, one in self._of(device):
                now = device.now(listening)
                if rule.repeat and one.state == "firing" and now - one.noticed >= rule.repeat:
                    one.noticed = now - (now - one.noticed) % rule.repeat
                    change = Change(one.noticed, "repeat", "time", "firing", one.level, one.level)
                    at = max(one.noticed, latest.get((device.name, rule.name), 0))
                    order = at, place, self.file.rules.index(rule)
                    yield _Due(order, rule, device, change, not device.old)

    def _is_live(self, device: Device, change: Change, listening: int, wall: int) -> bool:
        if change.cause in {"no_data", "schedule"}:
            return True
        if change.event in {"firing", "escalated"}:
            age = max(listening - device.heard, wall - device.now_read)
            return not device.old and age <= self.settings.max_reading_age
        return not device.old

    # --- reload

    def reload(self, file: RuleFile, wall: int) -> list[Deeds]:
        """Put other rules in force; a rule is the same if its name is."""
        self.telling.record = wall
        old, self.file = self.file, file
        new = {rule.name: rule for rule in file.rules}
        found = [deed for device in self.devices.values() for deed in self._end_removed(device, old, new)]
        self.telling.forget({rule.name for rule in old.rules} - new.keys())
        kept = kept_ranges(old, file)
        for device in self.devices.values():
            ranges = {key: key in kept for key in ranges_of(file, device.site)}
            device.inputs = device.inputs.following(file.inputs, file.lookbacks, ranges)
            device.recorded.lookbacks = file.lookbacks
            device.watch(file.watched - old.watched)
        before = {rule.name: rule for rule in old.rules}
        for device in self.devices.values():
            for rule in file.rules:
                one = self.states.get((rule.name, device.name))
                if one is not None and rule.name in before:
                    found += self._carry(one, before[rule.name], rule, device)
        return found

    def _end_removed(self, device: Device, old: RuleFile, new: dict[str, Definition]) -> Iterator[Deeds]:
        """End the alerts of rules that were removed, or begin anew."""
        for rule in old.rules:
            if rule.name not in new or is_reset(rule, old, self.file):
                one = self.states.pop((rule.name, device.name), State())
                cause = "reload" if rule.name in new else "removed"
                ended = State(state=one.state, level=one.level, at=one.at)
                for change in ended.outcome(rule, device.now_read, cause):
                    yield self.telling.tell(rule, device.name, change, live=True)

    def _carry(self, one: State, old: Definition, new: Definition, device: Device) -> Iterator[Deeds]:
        carry(one, old, new, self._zone(device))
        if new.sites and device.site not in new.sites:
            for level in one.busy():
                one.rest(level)
            del self.states[new.name, device.name]
        for change in one.outcome(new, device.now_read, "reload"):
            yield self.telling.tell(new, device.name, change, live=True)
