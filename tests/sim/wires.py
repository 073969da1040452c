"""A session for one device that keeps what is published; PUBACKs come when the test says so."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Wire:
    """`sent` are (kind, payload, retained), `waiting` the callbacks of publishes without their PUBACK."""

    sent: list[tuple[str, bytes, bool]] = field(default_factory=list)
    waiting: list[Callable[[int], None]] = field(default_factory=list)
    acknowledged: list[tuple[int, list[int]]] = field(default_factory=list)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        on_ack: Callable[[int], None] | None = None,
    ) -> None:
        self.sent.append((topic.rsplit("/", 1)[1], payload, retain))
        if on_ack is not None and qos:
            self.waiting.append(on_ack)

    def publish_plain(self, topic: bytes, payload: bytes, on_ack: Callable[[int], None]) -> None:
        self.publish(topic[2:].decode(), payload, on_ack=on_ack)

    def ack(self, epoch: int, packet_ids: list[int]) -> int:
        self.acknowledged.append((epoch, list(packet_ids)))
        return len(packet_ids)

    def of(self, kind: str) -> list[bytes]:
        return [payload for each, payload, _ in self.sent if each == kind]

    def answer(self, code: int = 0) -> None:
        """Send the PUBACKs of everything that waits for one."""
        while self.waiting:
            self.waiting.pop(0)(code)
