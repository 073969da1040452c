"""Who is in the fleet: numbers for devices, metrics and series, and what births say about them.

The registry is the only owner of names; everything behind it works with its numbers, which count up from 0. Numbers of
retired devices and of unused series and metrics are reused, so a changing fleet takes no more and more memory.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.columns.growing import with_room
from edge_gateway.columns.strings import StringTable
from edge_gateway.fleet.devices.births import Births, Needed
from edge_gateway.fleet.devices.metric_kinds import MetricKinds
from edge_gateway.fleet.devices.presence import Presence
from edge_gateway.fleet.devices.reclaiming import RECLAIM_EVERY, STRANGER_AFTER, Reclaimed
from edge_gateway.fleet.devices.series import KIND_STATE, SeriesTable
from edge_gateway.fleet.devices.tag_versions import UNKNOWN_TYPE, Identity, TagVersions
from edge_gateway.fleet.limits import Refusal, RegistryLimits
from fleet_wire.control_messages import Birth
from fleet_wire.topics import TELEMETRY, device_topic, is_level, parse_device_topic, site_of


class Registry:
    """Devices, series and strings of one gateway.

    A device belongs to the site it was first seen under; messages naming another site are refused.

    Args:
        limits: caps on devices, series and strings.
        forwarded: names of the tags that label windows.
        kinds: kinds of metrics that gateway.yaml declares, by name.
        sites: the sites this gateway owns, None for all. Devices of others are of an earlier configuration and leave.
    """

    def __init__(
        self,
        limits: RegistryLimits | None = None,
        forwarded: Sequence[str] = (),
        kinds: Mapping[str, int] | None = None,
        sites: frozenset[str] | None = None,
    ) -> None:
        self.limits = limits or RegistryLimits()
        self.sites = sites
        self.expected: frozenset[str] = frozenset()
        self.forwarded = tuple(forwarded)
        self.needed = Needed(frozenset(forwarded))
        self.device_of_topic: dict[str, int] = {}
        """Telemetry topic -> number of the device that may send on it."""
        self.device_name: list[str] = []
        self.device_site: list[str] = []
        self.strings = StringTable(self.limits.strings, self.limits.device_strings)
        self._kinds = MetricKinds(kinds or {})
        self.table = SeriesTable(
            self.limits.series,
            self.limits.device_series,
            lambda device, metric: self._kinds.of(metric, self.births.facts.get(device)),
        )
        """Series and layouts, for decoders."""
        self.refused: dict[str, int] = {}
        """Counts by reason: every `Refusal`, and values without room."""
        self.version = 0
        """Grows whenever a device appears, is retired, or changes its tags or type."""
        self.retired = 0
        self._swept_at = 0
        self._number: dict[str, int] = {}
        self.births = Births()
        self._versions = TagVersions()
        self._changed_at = np.empty(0, np.int64)
        self.presence = Presence()
        self._free: list[int] = []
        self._departed = np.empty(0, np.int64)
        self._site: dict[str, str] = {}

    # --- devices

    @property
    def alive(self) -> int:
        """Number of devices that are not retired."""
        return len(self._number)

    @property
    def devices(self) -> int:
        """All device numbers are below this."""
        return len(self.device_name)

    def device_of(self, topic: str) -> int | Refusal:
        """Return the number of a telemetry topic's device, registering a new device; or why it is refused."""
        known = self.device_of_topic.get(topic)
        if known is not None:
            return known
        parsed = parse_device_topic(topic)
        if parsed is None or parsed.kind != TELEMETRY:
            return self.refuse(Refusal.TOPIC)
        return self.device(parsed.site, parsed.device)

    def device(self, site: str, device: str) -> int | Refusal:
        """Return the number of a device, registering a new device; or why it is refused."""
        known = self._number.get(device)
        if known is not None:
            return known if self.device_site[known] == site else self.refuse(Refusal.WRONG_SITE)
        if not (is_level(site) and is_level(device)):
            return self.refuse(Refusal.TOPIC)
        if len(self._number) >= self.limits.devices:
            return self.refuse(Refusal.DEVICES)
        return self._register(site, device)

    def _register(self, site: str, device: str) -> int:
        number = self._free.pop() if self._free else self._new_number()
        site = self._site.setdefault(site, site)
        self.device_name[number], self.device_site[number] = device, site
        self._number[device] = number
        self.device_of_topic[device_topic(site, device, TELEMETRY)] = number
        self.births.forget(number)
        self._versions.begin(number, Identity(site, device, UNKNOWN_TYPE, {}))
        self.presence.begin(number)
        self._mark_changed(number)
        return number

    def _new_number(self) -> int:
        number = len(self.device_name)
        self.device_name.append("")
        self.device_site.append("")
        self._changed_at = with_room(self._changed_at, number + 1, 0)
        return number

    def refuse(self, refusal: Refusal) -> Refusal:
        """Count a refusal and return it."""
        self.count_refused(refusal.value)
        return refusal

    def count_refused(self, why: str, count: int = 1) -> None:
        """Count refused messages or values by reason."""
        self.refused[why] = self.refused.get(why, 0) + count

    def _mark_changed(self, device: int) -> None:
        self.version += 1
        self._changed_at[device] = self.version

    def find(self, device: str) -> int | None:
        """Return the number of a registered device by name; None if there is none."""
        return self._number.get(device)

    def changed_devices(self, since: int) -> IntColumn:
        """Return the devices that appeared, were retired or changed after `version` was `since`, ascending."""
        return np.flatnonzero(self._changed_at[: self.devices] > since)

    def set_clock(self, now: int) -> None:
        """Set the listening clock (ms): devices heard and series used from here on are noted with this time."""
        self.presence.now = self.table.now = now

    def is_live(self, device: int) -> bool:
        """Whether the number stands for a device of this gateway: not retired, and of a site the gateway owns."""
        return self._is_known(device) and self.owns(self.device_site[device])

    def _is_known(self, device: int) -> bool:
        return self._number.get(self.device_name[device]) == device

    # --- sites

    def owns(self, site: str) -> bool:
        """Whether this gateway owns a site."""
        return self.sites is None or site in self.sites

    def is_foreign(self, topic: str) -> bool:
        """Whether a topic names a site this gateway does not own."""
        site = site_of(topic) if self.sites is not None else None
        return site is not None and not self.owns(site)

    @property
    def departed(self) -> IntColumn:
        """Devices not yet retired whose site this gateway no longer owns, ascending."""
        return self._departed

    def silent(self, now: int, retire_after: int) -> IntColumn:
        """Return the devices to retire, ascending: departed ones, and those silent for `retire_after`.

        While four fifths of `limits.devices` are in use, a device that never sent a birth goes after a day of silence.
        Times are ms of the listening clock.
        """
        silent = self.presence.silent(now - retire_after)
        if 5 * self.alive >= 4 * self.limits.devices:
            stranger = self.presence.silent(now - STRANGER_AFTER)
            stranger[list(self.births.facts)] = False
            silent |= stranger
        silent[self._departed] = True
        return np.flatnonzero(silent)

    def retire(self, devices: IntColumn) -> IntColumn:
        """Retire devices and return their freed series. One that comes back is a new device.

        A retired number keeps its name and tags until it is reused, so that closing alerts can still name it. Callers
        that follow `changed_devices` must do so before the next device is registered.
        """
        series = self.table.retire(devices)
        self.strings.disown(devices)
        for device in devices.tolist():
            name, site = self.device_name[device], self.device_site[device]
            del self._number[name]
            self.device_of_topic.pop(device_topic(site, name, TELEMETRY), None)
            self.births.retire(device)
            self._mark_changed(device)
        self._departed = np.setdiff1d(self._departed, devices)
        self.presence.retire(devices)
        self._free += devices.tolist()
        self.retired += len(devices)
        return series

    # --- births and tags

    def birth(self, device: int, birth: Birth, from_start: int) -> bool:
        """Apply a birth; return whether type or tags changed.

        A change applies to windows that start at `from_start` (ms) or later.
        """
        self.presence.born(device)
        before = self.births.facts.get(device)
        facts = self.births.take(device, birth, self.needed)
        self._kinds.declare(self.table, device, facts)
        self._label(device, from_start)
        if before is not None and facts[:2] == before[:2]:
            return False
        self._mark_changed(device)
        return True

    def status_cleared(self, site: str, device: str) -> None:
        """Note that the broker no longer retains a status of this device; an unknown device is ignored."""
        known = self._number.get(device)
        if known is not None and self.device_site[known] == site:
            self.presence.status_cleared(known)

    def _label(self, device: int, from_start: int) -> None:
        """Label windows from `from_start` on with the newest birth's identity if it differs from the current one."""
        identity = self._identity(device)
        if identity != self._versions.newest(device):
            self._versions.change(device, identity, from_start, self.presence.now)

    def _identity(self, device: int) -> Identity:
        facts, forwarded = self.births.facts[device], self.forwarded
        labels = {name: facts.tags[name] for name in forwarded if name in facts.tags}
        return Identity(self.device_site[device], self.device_name[device], facts.type, labels)

    @property
    def label_changes_refused(self) -> int:
        """Changes of type or forwarded tags that were ignored because they came too often."""
        return self._versions.refused

    def reopen_kinds(self, device: int) -> None:
        """Let the next values of a restarted device decide again the kinds of metrics that nothing declares."""
        self._kinds.reopen_kinds(self.table, device, self.births.facts.get(device))

    def type(self, device: int) -> str:
        facts = self.births.facts.get(device)
        return UNKNOWN_TYPE if facts is None else facts.type

    def tags(self, device: int) -> Mapping[str, str]:
        """Return the tags of the newest birth, without site, device and type."""
        facts = self.births.facts.get(device)
        return {} if facts is None else facts.tags

    def tag_versions(self, device: IntColumn, window_start: IntColumn) -> IntColumn:
        """Return the versions of the tags that label windows: of columns of devices and window starts."""
        return self._versions.versions(device, window_start)

    def tags_of(self, version: int) -> Identity:
        """Return what a version labels points with. Raises KeyError if no device keeps the version any more."""
        return self._versions.identity(version)

    def units(self, device: int) -> Mapping[str, str]:
        """Return the units of the device's metrics by name, from its newest birth; empty without one."""
        facts = self.births.facts.get(device)
        return {} if facts is None else facts.units

    def position(self, device: int) -> tuple[float, float] | None:
        """Return (latitude, longitude) in degrees; None unless the newest birth gives both."""
        facts = self.births.facts.get(device)
        return None if facts is None else facts.position

    # --- metrics and series

    @property
    def metric_names(self) -> list[str]:
        return self.table.metric_names

    def metric(self, name: str) -> int:
        """Return the number of a metric, giving a new one its number. Raises ValueError if it is no metric name."""
        return self.table.metric(name)

    def series(self, device: int, metric: int) -> int:
        """Return the number of a series, giving a new one its number regardless of limits."""
        return self.table.series(device, metric)

    def derived(self, device: int, metric: int) -> int:
        """Return the number of a series that a rule derives, regardless of limits: the rule files bound how many."""
        return self.table.derived(device, metric)

    @property
    def series_epoch(self) -> int:
        """Grows when the number of a series or metric is reused: anything cached by number is then void."""
        return self.table.epoch

    @property
    def series_device(self) -> IntColumn:
        """Device of each series."""
        return self.table.device

    @property
    def series_metric(self) -> IntColumn:
        """Metric of each series."""
        return self.table.metric_of

    @property
    def series_is_state(self) -> BoolColumn:
        """Whether each series holds texts."""
        is_state: BoolColumn = self.table.kind == KIND_STATE
        return is_state

    @property
    def numbering(self) -> tuple[int, ...]:
        """What changes whenever a device, series, tag version or text gets a number or loses it."""
        return self.version, self._versions.given, self.strings.given, *self.table.numbered()

    # --- room

    def worth_reclaiming(self, now: int) -> bool:
        """Whether it is time to `reclaim` and something may be found; `now` is ms of the listening clock."""
        if now - self._swept_at < RECLAIM_EVERY:
            return False
        return self.strings.crowded() or self.table.may_reclaim(now - self.limits.unused_for)

    def reclaim(self, now: int, open_series: BoolColumn, used_texts: Collection[int]) -> Reclaimed:
        """Free series, metrics and texts that nothing uses.

        `open_series` says by series number whether a window is open, `used_texts` which codes windows or rules hold.
        """
        self._swept_at = now
        series = self.table.reclaimable(now - self.limits.unused_for, now - self.limits.pressed_for)
        series = series[~open_series[series]]
        devices = np.unique(self.series_device[series])
        self.table.free(series)
        for device in devices.tolist():
            self._versions.renumber(device)
        return Reclaimed(series, self.table.free_metrics(), self.strings.keep(used_texts))

    # --- state

    def snapshot(self) -> dict[str, Any]:
        count = self.devices
        return {
            "name": list(self.device_name),
            "site": list(self.device_site),
            "live": [self._is_known(device) for device in range(count)],
            "version": self.version,
            "retired": self.retired,
            "refused": dict(self.refused),
            "births": self.births.snapshot(),
            "forwarded": list(self.forwarded),
            "changed_at": self._changed_at[:count].copy(),
            **self.presence.snapshot(),
            "free": list(self._free),
            "swept_at": self._swept_at,
            "strings": self.strings.snapshot(),
            "series": self.table.snapshot(),
            "tags": self._versions.snapshot(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._site = {site: site for site in state["site"]}
        self.device_name, self.device_site = list(state["name"]), [self._site[site] for site in state["site"]]
        live = [device for device, lives in enumerate(state["live"]) if lives]
        self._number = {self.device_name[device]: device for device in live}
        self._departed = np.array([one for one in live if not self.owns(self.device_site[one])], np.int64)
        self.device_of_topic = {
            device_topic(self.device_site[device], self.device_name[device], TELEMETRY): device
            for device in live
            if self.owns(self.device_site[device])
        }
        self.version, self.retired = state["version"], state["retired"]
        self.refused = dict(state["refused"])
        self.births.restore(state["births"])
        self._changed_at = state["changed_at"].copy()
        self.presence.restore(state)
        self._free = list(state["free"])
        self._swept_at = state["swept_at"]
        self.strings.restore(state["strings"])
        self.table.restore(state["series"])
        self._versions.restore(state["tags"])
        if tuple(state["forwarded"]) != self.forwarded:
            for device in self.births.facts:
                self._versions.rename(device, self._identity(device))
        self._kinds.apply_configured(self.table)


def with_all_devices_changed(state: dict[str, Any]) -> dict[str, Any]:
    """Return the snapshot with a higher version, so that followers check every device again: the sites changed."""
    return {**state, "version": state["version"] + 1}
