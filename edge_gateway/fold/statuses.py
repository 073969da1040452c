"""Births and wills: what they say goes to registry, admission, windows and rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_gateway.fleet.decoders.status import Unreadable, read_status
from edge_gateway.fleet.limits import Refusal
from fleet_wire.control_messages import Birth
from fleet_wire.topics import device_topic

if TYPE_CHECKING:
    from edge_gateway.fleet.admission import Admission
    from edge_gateway.fold.effects import Effects
    from edge_gateway.records.inputs import Moment
    from edge_gateway.rules.alerts.evaluator import Evaluator
    from edge_gateway.windows.open_windows import Windows
    from fleet_wire.control_messages import Status
    from fleet_wire.topics import DeviceTopic


@dataclass(frozen=True, slots=True)
class Statuses:
    """Takes in statuses of devices for those who need them."""

    admission: Admission
    windows: Windows
    rules: Evaluator

    def take(
        self, topic: DeviceTopic, payload: bytes, moment: Moment, effects: Effects, *, just_sent: bool
    ) -> None:
        """Take in a birth or a will; an empty payload cleared the retained one."""
        registry = self.admission.registry
        if not payload:
            registry.status_cleared(topic.site, topic.device)
            self.admission.decommissioned.unmark([topic.device])
            return
        status = read_status(payload)
        if self._is_left_behind(topic.device, status, just_sent=just_sent):
            return
        device = registry.device(topic.site, topic.device)
        if isinstance(device, Refusal):
            refuse(self.admission, topic, payload, str(device), effects)
        elif isinstance(status, Unreadable):
            registry.presence.unreadable(device, offline=status.offline)
            if status.offline:
                self.rules.gone(device, moment.listening)
            refuse(self.admission, topic, payload, status.reason, effects)
        else:
            self.admission.watch.accepted(*topic)
            self._birth_or_will(device, status, moment.listening, just_sent=just_sent)

    def _is_left_behind(self, name: str, status: Status | Unreadable, *, just_sent: bool) -> bool:
        """Whether a status is what the broker retains of a device that an operator forgot and nobody heard since."""
        registry, marks = self.admission.registry, self.admission.decommissioned
        device = registry.find(name)
        if just_sent or (device is not None and not registry.presence.is_expired(device)):
            marks.unmark([name])
            return False
        boot = status.boot if isinstance(status, Birth) else None
        return not isinstance(status, Unreadable) and marks.passes_over(name, boot)

    def _birth_or_will(self, device: int, status: Status, listening_ms: int, *, just_sent: bool) -> None:
        registry = self.admission.registry
        registry.presence.heard(device)
        if isinstance(status, Birth):
            if self.admission.is_past(device, status):
                return
            registry.birth(device, status, self.windows.next_start(device))
            self.admission.birth(device, status, just_sent=just_sent)
            self.rules.birth(device, status.metrics, status.boot, listening_ms)
        else:
            registry.presence.gone(device)
            self.rules.gone(device, listening_ms)


def refuse(admission: Admission, topic: DeviceTopic, payload: bytes, reason: str, effects: Effects) -> None:
    """Quarantine a status or an ack."""
    admission.watch.quarantined(*topic, reason)
    effects.quarantine(device_topic(*topic), payload, reason)
