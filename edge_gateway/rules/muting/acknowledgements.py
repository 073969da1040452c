"""Acknowledgements: somebody has seen an alert, so its notice is not repeated.

One belongs to the alert's id, and ends with the alert and when it escalates. An alert that ended without one stays
listed until it is acknowledged, for a day at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_gateway.records.alerts import alert_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_gateway.records.alerts import Transition
    from edge_gateway.rules.muting.subject import Key

LISTED_FOR: Final = 86_400_000
"""Milliseconds of monotonic time for which an alert that ended unacknowledged stays listed."""
MOST_LISTED: Final = 10_000
"""Alerts listed. Past it the one that ended longest ago is not listed any more."""
ACKNOWLEDGED: Final = "acknowledgement"


class Acknowledgement(msgspec.Struct, frozen=True):
    """Who has seen the alert `alert`, when (wall ms), and what they said."""

    alert: str
    by: str
    why: str
    at: int


class Ended(msgspec.Struct, frozen=True):
    """An alert that ended unacknowledged: its row, and when it did, monotonic ms."""

    row: dict[str, Any]
    at: int


class Acknowledgements:
    """The acknowledgements of alerts that fire, and the alerts that ended without one; of each subject the newest."""

    def __init__(self) -> None:
        self._given: dict[Key, Acknowledgement] = {}
        self._ended: dict[Key, Ended] = {}

    def of(self, key: Key, alert: str) -> Acknowledgement | None:
        """The acknowledgement of the alert with this id, which fires; None without one."""
        given = self._given.get(key)
        return given if given is not None and given.alert == alert else None

    def add(self, key: Key, given: Acknowledgement) -> None:
        """Acknowledge an alert that fires."""
        self._given[key] = given

    def unlist(self, alert: str) -> dict[str, Any] | None:
        """Acknowledge an alert that has ended, and return its row; None if none of this id is listed."""
        key = next((key for key, ended in self._ended.items() if ended.row["id"] == alert), None)
        return None if key is None else self._ended.pop(key).row

    def ended(self, monotonic: int) -> Iterator[dict[str, Any]]:
        """The rows of the alerts that ended unacknowledged, the oldest first."""
        return (one.row for one in self._ended.values() if one.at > monotonic - LISTED_FOR)

    def follow(self, key: Key, transition: Transition, monotonic: int) -> None:
        """End an acknowledgement with the alert, or as it escalates; list an alert that ended without one."""
        if transition.event == "escalated" or transition.state == "resolved":
            self._given.pop(key, None)
        if transition.event == "resolved" and transition.state == "resolved" and not transition.acked:
            self._ended.pop(key, None)
            self._ended[key] = Ended(alert_row(transition), monotonic)
            self._forget_old(monotonic)

    def _forget_old(self, monotonic: int) -> None:
        while True:
            key, oldest = next(iter(self._ended.items()))
            if len(self._ended) <= MOST_LISTED and oldest.at > monotonic - LISTED_FOR:
                return
            del self._ended[key]

    def snapshot(self) -> dict[str, Any]:
        return {
            "given": [[*key, *msgspec.structs.astuple(one)] for key, one in self._given.items()],
            "ended": [[*key, one.row, one.at] for key, one in self._ended.items()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._given = {(rule, subject): Acknowledgement(*one) for rule, subject, *one in state["given"]}
        self._ended = {(rule, subject): Ended(*one) for rule, subject, *one in state["ended"]}
