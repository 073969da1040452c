"""Publish the gateway's own problems as alerts, beside those of the rules: subject `_gateway`, site `_`.

An alert fires when a problem opens and resolves when it clears. A new text of an open problem is told by the retained
message of its alert, at the next periodic look, so that a text that changes often does not flood the broker. While the
broker is unreachable the messages wait in the outgoing queue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from msgspec import structs

from edge_gateway.fold.messages import Message
from edge_gateway.records.alerts import ALERT_COLUMNS
from edge_gateway.records.alerts import LEVELS as RANKED
from edge_gateway.status.problem import Gravity
from edge_gateway.status.report import OpenProblem
from fleet_wire import control_messages, topics

GROUP = "gateway"
LONGEST = 500
"""Characters of a summary."""
LEVELS: Final[Mapping[Gravity, control_messages.Level]] = {
    Gravity.FAILURE: "critical",
    Gravity.WARNING: "warning",
}
"""The level of a problem's alert; a notice has none."""


@dataclass(slots=True)
class OwnAlerts:
    """Turns the open `problems` into alerts; notices are none. `clock`: wall milliseconds."""

    gateway: str
    problems: Iterable[OpenProblem]
    send: Callable[[Iterable[Message]], None]
    clock: Callable[[], int]
    _told: dict[str, OpenProblem] = field(default_factory=dict)
    """Each firing alert's problem by its code, as it was sent last."""

    def firing(self) -> list[Message]:
        """Return the retained message of each firing alert."""
        return [self._message(self._alert(problem, "firing")) for problem in self._open().values()]

    def rows(self) -> list[dict[str, Any]]:
        """Return the firing alerts as people read them, with the keys of a rule's alert."""
        alerts = [self._alert(problem, "firing") for problem in self._open().values()]
        return [{name: getattr(one, name, None) for name in ALERT_COLUMNS} for one in alerts]

    def follow(self) -> None:
        """Send alerts for problems opened and cleared since the last call, and for those of another gravity."""
        now = self._open()
        for code in [code for code in self._told if code not in now]:
            ended = self._told.pop(code)
            resolved = self._message(self._alert(ended, "resolved"))
            self.send([resolved, Message(self._topic(code), b"", retain=True)])
        for code, problem in now.items():
            if code not in self._told or self._told[code].gravity is not problem.gravity:
                self._tell(problem)

    def retell(self) -> None:
        """Send the alerts again whose text is another one than was sent; call periodically, each ten seconds or so."""
        for code, problem in self._open().items():
            if code in self._told and self._told[code].text != problem.text:
                self._tell(problem)

    def _open(self) -> dict[str, OpenProblem]:
        return {one.code: one for one in self.problems if one.gravity is not Gravity.NOTICE}

    def _tell(self, problem: OpenProblem) -> None:
        before, self._told[problem.code] = self._told.get(problem.code), problem
        alert = self._alert(problem, "firing")
        if before is not None:
            was = LEVELS[before.gravity]
            alert = structs.replace(alert, was=was, event=_change(was, alert.level))
        self.send([self._message(alert)])

    def _topic(self, code: str) -> str:
        return topics.alert_topic(self.gateway, topics.NO_SITE, topics.GATEWAY_SUBJECT, code)

    def _message(self, alert: control_messages.Alert) -> Message:
        payload = control_messages.encode_alert(alert)
        return Message(self._topic(alert.rule), payload, retain=alert.state == "firing")

    def _alert(self, problem: OpenProblem, state: Literal["firing", "resolved"]) -> control_messages.Alert:
        name = f"{self.gateway}\0{problem.code}\0{problem.since}"
        return control_messages.Alert(
            id=hashlib.blake2b(name.encode(), digest_size=8).hexdigest(),
            group=GROUP,
            rule=problem.code,
            level=LEVELS[problem.gravity],
            state=state,
            event=state,
            cause="time",
            site=topics.NO_SITE,
            subject=topics.GATEWAY_SUBJECT,
            at=problem.since if state == "firing" else self.clock(),
            annotations={"summary": problem.text[:LONGEST]},
        )


def _change(was: control_messages.Level, level: control_messages.Level) -> control_messages.AlertEvent:
    """The event of an alert that still fires: `repeat` where only its text is new."""
    if was == level:
        return "repeat"
    return "escalated" if RANKED.index(level) > RANKED.index(was) else "deescalated"
