"""The groups that rules make of devices: each a number, its values by key, and how it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_gateway.records.alerts import group_subject
from fleet_wire.topics import NO_SITE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NO_TYPE = "unknown"


class Groups:
    """Groups by number, counted up from 0; those of groups that are gone are given again.

    By number: `device_name`, the subject of its alerts, such as `site=berlin`; `device_site`, its site, NO_SITE if
    `by` has none. The rest of the gateway knows both by these names of what alerts are about.
    """

    def __init__(self) -> None:
        self.device_name: list[str] = []
        self.device_site: list[str] = []
        self._values: list[dict[str, str]] = []
        self._number: dict[str, int] = {}
        self._free: list[int] = []

    @property
    def devices(self) -> int:
        """All numbers are below this."""
        return len(self.device_name)

    def number(self, values: Mapping[str, str]) -> int:
        """The number of the group with these values, a new one if there is none."""
        subject = group_subject(values)
        known = self._number.get(subject)
        return self._add(subject, dict(values)) if known is None else known

    def _add(self, subject: str, values: dict[str, str]) -> int:
        if self._free:
            number = self._free.pop()
        else:
            number = len(self.device_name)
            self.device_name.append("")
            self.device_site.append("")
            self._values.append({})
        self.device_name[number], self.device_site[number] = subject, values.get("site", NO_SITE)
        self._values[number], self._number[subject] = values, number
        return number

    def find(self, subject: str) -> int | None:
        """The number of the group that is called so; None if there is none."""
        return self._number.get(subject)

    def values(self, group: int) -> Mapping[str, str]:
        """The values that the devices of a group have in common, by key."""
        return self._values[group]

    def type(self, group: int) -> str:
        return self._values[group].get("type", _NO_TYPE)

    def tags(self, group: int) -> Mapping[str, str]:
        return self._values[group]

    def free(self, groups: Iterable[int]) -> None:
        """Give up the numbers of groups that are gone."""
        for group in groups:
            if self._number.pop(self.device_name[group], None) is not None:
                self.device_name[group], self._values[group] = "", {}
                self._free.append(group)

    def snapshot(self) -> dict[str, Any]:
        return {"values": [[*each.items()] for each in self._values], "free": list(self._free)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        for values in state["values"]:
            self._add(group_subject(dict(values)), dict(values))
        self._number.pop("", None)
        self._free = list(state["free"])
