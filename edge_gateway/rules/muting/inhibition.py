"""Inhibits at work: which sources fire, and which alerts they mute.

What one input changes is judged together: a source that begins to fire mutes its targets from the start of the input
on, and one that ends goes on to its end. So the order of rules in files, and of readings in a batch, makes no
difference. A source that is muted itself inhibits as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edge_gateway.rules.muting.subject import Mute, text_of
from fleet_config.match import Match

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from edge_gateway.rules.language.inhibits import Inhibit, Selector
    from edge_gateway.rules.muting.subject import AlertSubject, Key

_FIRES: Final = -1
Shared = tuple[str, ...]
"""The attributes that an inhibit compares."""


class _Selection:
    """A selector, compiled."""

    def __init__(self, selector: Selector) -> None:
        self.match, self.labels = Match.of(selector.match), Match.of(selector.labels)

    def fits(self, subject: AlertSubject) -> bool:
        return subject.fits(self.match) and self.labels.fits(subject.labels)


class _Source(NamedTuple):
    """A source of an inhibit: until when it mutes, and whether it is a target of the inhibit as well.

    `until` is _FIRES while it fires, and then ms of the listening clock until which its targets wait.
    """

    until: int
    is_target: bool


class _Inhibitor:
    """One inhibit and its sources, by what targets must share with them."""

    def __init__(self, inhibit: Inhibit) -> None:
        self.inhibit = inhibit
        self._source, self._target = _Selection(inhibit.source), _Selection(inhibit.target)
        self._sources: dict[Shared, dict[Key, _Source]] = {}
        self._shared_of: dict[Key, Shared] = {}

    def shared_by_source(self, subject: AlertSubject) -> Shared | None:
        """What targets must share with this alert; None if it is no source."""
        return subject.shared(self.inhibit.equal) if self._source.fits(subject) else None

    def begin(self, subject: AlertSubject, shared: Shared) -> None:
        """Let a source fire."""
        before = self._shared_of.get(subject.key)
        if before is not None and before != shared:
            self._remove(subject.key)
        self._put(subject.key, shared, _Source(_FIRES, self._target.fits(subject)))

    def _put(self, key: Key, shared: Shared, source: _Source) -> None:
        self._sources.setdefault(shared, {})[key] = source
        self._shared_of[key] = shared

    def end(self, key: Key, now: int) -> bool:
        """Let a source end, if it is one that fires; return whether it was."""
        shared = self._shared_of.get(key)
        if shared is None or self._sources[shared][key].until != _FIRES:
            return False
        if self.inhibit.wait_ms:
            own = self._sources[shared]
            own[key] = own[key]._replace(until=now + self.inhibit.wait_ms)
        else:
            self._remove(key)
        return True

    def _remove(self, key: Key) -> None:
        shared = self._shared_of.pop(key)
        own = self._sources[shared]
        del own[key]
        if not own:
            del self._sources[shared]

    def end_waits(self, now: int) -> bool:
        """Forget the sources whose targets have waited; return whether there were any."""
        over = [key for _, key, source in self._each() if _FIRES != source.until <= now]
        for key in over:
            self._remove(key)
        return bool(over)

    def _each(self) -> Iterator[tuple[Shared, Key, _Source]]:
        return ((shared, key, one) for shared, own in self._sources.items() for key, one in own.items())

    def source_muting(self, subject: AlertSubject) -> Key | None:
        """The source that mutes an alert; None if none does.

        No alert mutes itself, and two that are source and target both do not mute each other.
        """
        if not self._sources or not self._target.fits(subject):
            return None
        shared = subject.shared(self.inhibit.equal)
        own = {} if shared is None else self._sources.get(shared, {})
        is_source = bool(own) and self._source.fits(subject)
        fit = (key for key, one in own.items() if key != subject.key and not (is_source and one.is_target))
        return next(fit, None)

    def snapshot(self) -> list[Any]:
        return [[*key, list(shared), *source] for shared, key, source in self._each()]

    def restore(self, state: Iterable[Any]) -> None:
        for rule, subject, shared, *source in state:
            self._put((rule, subject), tuple(shared), _Source(*source))

    def take_waits(self, old: _Inhibitor) -> None:
        """Take over the sources that have ended and whose targets still wait."""
        for shared, key, source in old._each():
            if source.until != _FIRES and key not in self._shared_of:
                self._put(key, shared, source)


class Inhibition:
    """All inhibits in force."""

    def __init__(self, inhibits: Sequence[Inhibit] = ()) -> None:
        self._inhibitors = [_Inhibitor(each) for each in inhibits]
        self._changed: dict[Key, AlertSubject | None] = {}
        """Alerts that changed with this input; None: they do not fire any more."""
        self.by_labels = any(each.source.labels or each.target.labels for each in inhibits)

    def __bool__(self) -> bool:
        return bool(self._inhibitors)

    def foresee(self, subject: AlertSubject) -> None:
        """Note that an alert fires with this input, before any alert that changes with it is judged."""
        for each in self._inhibitors:
            shared = each.shared_by_source(subject)
            if shared is not None:
                each.begin(subject, shared)

    def change(self, subject: AlertSubject, *, fires: bool) -> None:
        """Note how a change leaves an alert; `settle` makes it count."""
        if self._inhibitors:
            self._changed[subject.key] = subject if fires else None

    def settle(self, now: int) -> bool:
        """Let sources end that ended with this input; return whether any did."""
        changed, self._changed = self._changed, {}
        ended = False
        for key, subject in changed.items():
            for each in self._inhibitors:
                shared = None if subject is None else each.shared_by_source(subject)
                if subject is None or shared is None:
                    ended |= each.end(key, now)
                else:
                    each.begin(subject, shared)
        return ended

    def end_waits(self, now: int) -> bool:
        """Let the waits end that are over by now; return whether any did."""
        ended = [each.end_waits(now) for each in self._inhibitors]
        return any(ended)

    def muting(self, subject: AlertSubject) -> Iterator[Mute]:
        """The inhibits that mute an alert, by their sources."""
        for each in self._inhibitors:
            source = each.source_muting(subject)
            if source is not None:
                yield Mute(f"inhibit {text_of(source)}", each.inhibit.commands)

    def replaced(self, inhibits: Sequence[Inhibit], firing: Iterable[AlertSubject]) -> Inhibition:
        """These inhibits, with the alerts that fire; an inhibit that was in force before keeps its waits."""
        new = Inhibition(inhibits)
        for subject in firing if new else ():
            new.foresee(subject)
        before = self._inhibitors
        for each in new._inhibitors:
            for old in before:
                if old.inhibit == each.inhibit:
                    each.take_waits(old)
        return new

    def snapshot(self) -> list[Any]:
        return [each.snapshot() for each in self._inhibitors]

    def restore(self, state: Sequence[Any]) -> None:
        for each, own in zip(self._inhibitors, state, strict=True):
            each.restore(own)
