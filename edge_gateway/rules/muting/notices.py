"""Which alerts were told, and which were not because something muted them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from edge_gateway.rules.alerts.state_machine import StateChange

if TYPE_CHECKING:
    from edge_gateway.rules.muting.subject import Key


class LastTold(NamedTuple):
    """An alert that was told to fire: its id, and the rank told last."""

    alert: str
    rank: int


class Withheld(NamedTuple):
    """The newest change of an alert that was not told, the alert's id, and what muted it."""

    alert: str
    change: StateChange
    by: tuple[str, ...]


class Notices:
    """By alert what was told last, of alerts that were told to fire, and what is withheld."""

    def __init__(self) -> None:
        self.heard: dict[Key, LastTold] = {}
        self.withheld: dict[Key, Withheld] = {}

    def tell(self, key: Key, alert: str, change: StateChange) -> None:
        """Note that a change was told."""
        self.withheld.pop(key, None)
        if change.state == "firing":
            self.heard[key] = LastTold(alert, change.rank)
        else:
            self.heard.pop(key, None)

    def withhold(self, key: Key, alert: str, change: StateChange, by: tuple[str, ...]) -> None:
        """Note that a change was muted, and by what."""
        self.withheld[key] = Withheld(alert, change, by)

    def forget(self, key: Key) -> None:
        """Forget an alert that ended untold."""
        self.withheld.pop(key, None)
        self.heard.pop(key, None)

    def snapshot(self) -> dict[str, Any]:
        return {
            "heard": [[*key, *one] for key, one in sorted(self.heard.items())],
            "withheld": [
                [*key, one.alert, list(one.change), list(one.by)]
                for key, one in sorted(self.withheld.items())
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.heard = {(rule, subject): LastTold(*one) for rule, subject, *one in state["heard"]}
        self.withheld = {
            (rule, subject): Withheld(alert, StateChange(*change), tuple(by))
            for rule, subject, alert, change, by in state["withheld"]
        }
