"""An alert as silences and inhibits see it: by rule, level, labels, and the properties of what it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fleet_config.match import UNKNOWN
from fleet_wire.topics import NO_SITE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_gateway.rules.columns.registry_view import Subjects
    from fleet_config.match import Match
    from fleet_wire.control_messages import Level

Key = tuple[str, str]
"""(rule name, name of the subject)."""


class AlertSubject(NamedTuple):
    """One alert of one subject.

    `attributes`: site, device, type and tags of a device; of a group, what its members share. `labels`: the alert's.
    """

    rule: str
    name: str
    level: Level
    attributes: Mapping[str, str]
    labels: Mapping[str, str]

    @property
    def key(self) -> Key:
        return self.rule, self.name

    def fits(self, match: Match) -> bool:
        """Whether a selection by `alert`, `level`, `subject` or attributes fits."""
        own = {"alert": self.rule, "level": self.level, "subject": self.name}
        return match.fits({**self.attributes, **own})

    def shared(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        """The attributes of these names; None where one is missing."""
        found = tuple(self.attributes.get(name, UNKNOWN) for name in names)
        return None if UNKNOWN in found else found


class Mute(NamedTuple):
    """What mutes an alert, in words, and whether it mutes commands as well."""

    by: str
    commands: bool = False


def attributes_of(subjects: Subjects, number: int) -> dict[str, str]:
    """Site, name, type and tags of a device; of a group its values and its name."""
    name, site = subjects.device_name[number], subjects.device_site[number]
    found = {**subjects.tags(number), "device": name, "type": subjects.type(number)}
    return found if site == NO_SITE else {**found, "site": site}


def text_of(key: Key) -> str:
    """An alert as operators write it: RULE/SUBJECT."""
    return "/".join(key)
