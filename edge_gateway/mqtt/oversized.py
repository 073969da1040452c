"""The problem of messages too large for the broker: open while any kind is shortened or not sent."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_gateway.fold.messages import Message, MessageKind
from edge_gateway.mqtt.fitting import packet_size
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.problems import Problems


@dataclass(slots=True)
class OversizedMessages:
    """Tracks which kinds of message do not fit; a kind recovers when one of it is sent whole."""

    problems: Problems
    _affected: dict[MessageKind, str] = field(default_factory=dict)

    def record(self, message: Message, ready: Message | None, most: int) -> None:
        """Compare a message with its sent form, `ready`; None if not sent. `most`: the broker's limit in bytes."""
        kind = message.kind
        if ready is not None and ready.payload == message.payload:
            if self._affected.pop(kind, None) is not None:
                self._report(most)
            return
        self._affected[kind] = f"{kind.value} are {'not sent' if ready is None else 'shortened'}"
        self._report(most)

    def reason(self, message: Message, most: int) -> str:
        """Explain why a message cannot be sent."""
        return f"too large for the broker: {packet_size(message)} bytes, and it takes {most}"

    def _report(self, most: int) -> None:
        if not self._affected:
            self.problems.clear(Problem.PACKET_SIZE)
            return
        text = ", ".join(self._affected[kind] for kind in MessageKind if kind in self._affected)
        self.problems.raise_(Problem.PACKET_SIZE, f"the broker accepts packets of {most} bytes: {text}")
