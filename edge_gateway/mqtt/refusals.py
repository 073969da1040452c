"""Track publications the broker refuses: one problem per message kind, until it accepts that kind again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from edge_gateway.fold.messages import Message, MessageKind
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems
from fleet_wire import topics
from fleet_wire.errors import NOT_AUTHORISED, meaning

REFUSED = 0x80
"""Reason codes from here on are failures."""
MOST_NAMED = 5
MOST_REMEMBERED = 1_000
FORGET_AFTER = 60.0
"""Seconds after which a refused topic is forgotten once another topic of its kind is accepted."""
PROBLEMS = {
    MessageKind.STATUS: Problem.REFUSED_STATUSES,
    MessageKind.ALERT: Problem.REFUSED_ALERTS,
    MessageKind.COMMAND: Problem.REFUSED_COMMANDS,
    MessageKind.RECEIPT: Problem.REFUSED_RECEIPTS,
    MessageKind.REPLY: Problem.REFUSED_REPLIES,
}


@dataclass(slots=True)
class Refusals:
    """Raises and clears one problem for each kind of message. `clock`: monotonic seconds."""

    gateway: str
    clock: Callable[[], float]
    counters: Counters
    problems: Problems
    _refused: dict[MessageKind, dict[str, tuple[str, float]]] = field(default_factory=dict)
    """By kind and topic: the reason, and when the broker last gave it."""

    def refused(self, message: Message, reason: int) -> str:
        """Record a refusal; return the reason in words."""
        kind, why = message.kind, self._error_text(message.kind, reason)
        self._count(kind)
        of_kind = self._refused.setdefault(kind, {})
        of_kind.pop(message.topic, None)
        while len(of_kind) >= MOST_REMEMBERED:
            del of_kind[next(iter(of_kind))]
        of_kind[message.topic] = why, self.clock()
        self._report(kind)
        return why

    def accepted(self, message: Message) -> None:
        """Record an acceptance: forget the refusal of its topic, and old ones of its kind."""
        of_kind = self._refused.get(message.kind)
        if not of_kind:
            return
        of_kind.pop(message.topic, None)
        since = self.clock() - FORGET_AFTER
        for topic in [topic for topic, (_, at) in of_kind.items() if at < since]:
            del of_kind[topic]
        self._report(message.kind)

    def _report(self, kind: MessageKind) -> None:
        problem, of_kind = PROBLEMS[kind], self._refused[kind]
        if not of_kind:
            self.problems.clear(problem)
            return
        why, _ = next(reversed(of_kind.values()))
        self.problems.raise_(problem, f"{why}{_devices_text(of_kind)}")

    def _count(self, kind: MessageKind) -> None:
        match kind:
            case MessageKind.STATUS:
                self.counters.refused_statuses += 1
            case MessageKind.ALERT:
                self.counters.refused_alerts += 1
            case MessageKind.COMMAND:
                self.counters.refused_commands += 1
            case MessageKind.RECEIPT:
                self.counters.refused_receipts += 1
            case MessageKind.REPLY:
                self.counters.refused_replies += 1

    def _error_text(self, kind: MessageKind, reason: int) -> str:
        """Explain a reason code; for "not authorised" name the topics the broker's ACL must allow."""
        if reason == NOT_AUTHORISED:
            return f"not authorised: check the ACL for {_pattern(self.gateway, kind)}"
        return meaning(reason)


def _pattern(gateway: str, kind: MessageKind) -> str:
    """Return the topic filter of a kind, as an ACL names it."""
    return {
        MessageKind.STATUS: topics.gateway_status_topic(gateway),
        MessageKind.ALERT: f"edge/v1/{gateway}/alerts/#",
        MessageKind.COMMAND: "fleet/v1/+/+/command",
        MessageKind.RECEIPT: "fleet/v1/+/+/receipt",
        MessageKind.REPLY: topics.operator_reply_topic(gateway),
    }[kind]


def _devices_text(refused: Iterable[str]) -> str:
    """Name the affected devices; "" if the topics are the gateway's own."""
    parsed = map(topics.parse_device_topic, refused)
    devices = sorted({one.device for one in parsed if one is not None and one.site != topics.NO_SITE})
    more = f" and {len(devices) - MOST_NAMED} more" if len(devices) > MOST_NAMED else ""
    return f" (of {', '.join(devices[:MOST_NAMED])}{more})" if devices else ""
