"""The evaluator: readings and the passing of time in, transitions of alerts out.

    Frame ─▶ Inputs: rows by device, late rows apart
               └▶ segments: what lies beyond the lowest threshold of each (column, sign)
                    └▶ latches beyond ─▶ busy cells ─▶ one segmented scan for all rules
                                                        └▶ where a latch switched: judge ─▶ Notices ─▶ Transition

A cell at rest and below its threshold costs nothing; Python sees an alert only where it changes. Several readings
of a device in one frame give the same transitions as one by one. No clock is read: ticks bring the listening
clock, and a device's now is its newest accepted time plus what the gateway has listened since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from edge_gateway.records.alerts import Transition
from edge_gateway.rules.alerts.cells import Saved
from edge_gateway.rules.alerts.judge import Case, Verdict
from edge_gateway.rules.alerts.notices import Notices
from edge_gateway.rules.alerts.placement import Placement, reconcile
from edge_gateway.rules.alerts.reload import Fate, Successor, carried_over, kept_ranges, successors
from edge_gateway.rules.alerts.rule_state import RuleState
from edge_gateway.rules.alerts.state import NOTHING, Standing
from edge_gateway.rules.alerts.step import read_frame
from edge_gateway.rules.alerts.timers import let_pass
from edge_gateway.rules.alerts.transitions import listed, told_by_reading, told_by_time
from edge_gateway.rules.columns.record_rules import Records
from edge_gateway.rules.language.ruleset import RuleSet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_gateway.columns.frame import Frame, IntColumn
    from edge_gateway.rules.columns.registry_view import RegistryView

DEFAULT_LOOKBACK_MS: Final = 300_000
"""How old a metric's last value may be to be joined with a newer one of another metric."""


class Evaluator:
    """All rules over all devices.

    Call `records` and then `evaluate` for each frame, `tick` as the listening clock goes on, `reload` for other
    rules. The same calls give the same transitions and the same state, bit for bit.
    """

    def __init__(
        self, rules: RuleSet, registry: RegistryView, *, lookback_ms: int = DEFAULT_LOOKBACK_MS
    ) -> None:
        self._registry = registry
        self._lookback_ms = lookback_ms
        self._notices = Notices(registry)
        self._listening = 0
        self._ticked = 0
        self._owed: list[Transition] = []
        self._build(rules)

    def _build(self, rules: RuleSet) -> None:
        self.rules = rules
        self._held = RuleState.at_rest(rules.alerts, self._registry, self._lookback_ms)
        self._records = Records(rules.records, self._registry, self._lookback_ms)
        self._placement = Placement(self._held)

    # --- readings and time

    def records(self, frame: Frame) -> Frame:
        """The frame with the metrics that record rules derive from it; the same one where there are none."""
        return self._records.extend(frame)

    def evaluate(self, frame: Frame, listening_ms: int | None = None) -> list[Transition]:
        """Take in the readings of a frame; transitions in order of arrival, and of the rules within a row.

        `listening_ms` is the listening clock when the frame came; the last tick's where it is left out.
        """
        moved = self._follow()
        self._listening = self._ticked if listening_ms is None else listening_ms
        if not frame.rows:
            return moved
        read = read_frame(self._held, frame, self._listening)
        return moved + told_by_reading(self._held, self._notices, read, frame)

    def tick(self, listening_ms: int) -> list[Transition]:
        """Let time pass: `for`, `keep_firing_for`, `no_data` and `repeat`, each at the moment it is due.

        A tick that returns nothing has changed nothing that a snapshot holds.
        """
        moved = self._follow()
        self._ticked = max(self._ticked, listening_ms)
        verdicts = let_pass(self._held, self._ticked)
        return moved + told_by_time(self._held, self._notices, verdicts)

    def rewind(self, devices: IntColumn) -> None:
        """Begin anew with the clock of devices that stepped back: what fires stays, what waits is dropped.

        What that ends is told by the next `evaluate` or `tick`.
        """
        self._held.make_room()
        self._held.inputs.forget(devices)
        self._held.histories.forget(devices)
        self._records.forget(devices)
        cells = self._held.cells
        busy = cells.busy_of(devices)
        cells.up[busy] = cells.down[busy] = 0
        cells.busy[busy] = cells.on[busy]
        stepped = set(devices.tolist())
        keys = [key for key in sorted(self._held.standings) if key[0] in stepped]
        for key in keys:
            self._held.standings[key].at = 0
        self._owed += self._told(reconcile(self._held, keys, None))

    def forget(self, devices: IntColumn) -> None:
        """Forget retired devices, which by now have no rules any more."""
        self._held.forget(devices)
        self._records.forget(devices)
        self._notices.forget(devices)

    def texts(self) -> set[int]:
        """Codes of all texts that rules and their state hold."""
        held = self._held
        constants = held.program.names.constants
        return constants | held.inputs.texts() | held.histories.texts() | self._records.texts()

    def _follow(self) -> list[Transition]:
        """Take in what changed of the fleet."""
        owed, self._owed = self._owed, []
        return owed + self._told(reconcile(self._held, self._placement.follow()))

    def _told(self, verdicts: list[Verdict]) -> list[Transition]:
        return told_by_time(self._held, self._notices, verdicts)

    # --- what stands

    def firing(self) -> list[Transition]:
        """The alerts that fire now, as they were last told, in the order of devices and rules."""
        return [each for each in self.standing_alerts() if each.state == "firing"]

    def standing_alerts(self) -> list[Transition]:
        """The alerts that are pending or firing."""
        standings = sorted(self._held.standings.items())
        return [listed(self._held, self._notices, *key, standing) for key, standing in standings]

    def idle_rules(self) -> list[str]:
        """Why rules do not run on devices they select, as `device: reason`."""
        mismatches = sorted(self._placement.unit_mismatches.items())
        return [f"{self._registry.device_name[device]}: {why}" for (device, _), why in mismatches]

    # --- other rules

    def reload(self, rules: RuleSet) -> list[Transition]:
        """Take other rules in; rules are the same by name, and keep their state as `reload.Fate` says."""
        owed = self._follow()
        old, old_records = self._held, self._records
        following = successors(old.rules, rules.alerts)
        ended = self._told(self._ended(following))
        saved = carried_over(old.cells.take_out(old.cells.all_busy()), following)
        self._build(rules)
        held = self._held
        held.newest = old.newest
        held.standings = {
            (device, following[number].number): each for (device, number), each in old.standings.items()
        }
        held.inputs.take_over(old.inputs)
        held.histories.take_over(old.histories, kept_ranges(old.rules, held.rules))
        self._records.take_over(old_records)
        names = {rule.name for rule in held.rules}
        self._notices.forget_rules(lambda name: name not in names)
        self._placement.follow()
        held.cells.put_in(saved)
        return owed + ended + self._told(reconcile(held, sorted(held.standings)))

    def _ended(self, following: list[Successor]) -> list[Verdict]:
        """End the alerts of rules that do not go on."""
        verdicts: list[Verdict] = []
        for (device, number), standing in sorted(self._held.standings.items()):
            if following[number].fate is Fate.DROPPED:
                case = Case(device, number, [], standing)
                case.step(int(self._held.inputs.cursor[device]), NOTHING, "removed")
                self._held.stand(case)
                verdicts += case.verdicts
        return verdicts

    # --- state

    def snapshot(self) -> dict[str, Any]:
        """All state as plain data and arrays, the rules included."""
        held = self._held
        held.make_room()
        devices = self._registry.devices
        busy = held.cells.all_busy()
        saved = held.cells.save(busy, held.cells.device_at(busy))
        order = np.lexsort((saved.key, saved.rule, saved.device))
        return {
            "rules": self.rules.to_plain(),
            "known": self._placement.known,
            "listening": self._listening,
            "newest": held.newest.snapshot(devices),
            "inputs": held.inputs.snapshot(devices),
            "histories": held.histories.snapshot(),
            "records": self._records.snapshot(),
            "cells": {name: column[order] for name, column in saved._asdict().items()},
            "standings": [
                [*key, each.onset, each.firing, each.rank, each.at, each.told]
                for key, each in sorted(held.standings.items())
            ],
            "cooldowns": self._notices.snapshot(),
            "owed": [msgspec.to_builtins(each) for each in self._owed],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a snapshot's rules and state; the registry must have been restored to the same moment."""
        self._build(RuleSet.from_plain(state["rules"]))
        held = self._held
        for device, rule, onset, firing, rank, at, told in state["standings"]:
            held.standings[device, rule] = Standing(onset, firing, rank, at, told)
        self._notices.restore(state["cooldowns"])
        self._listening = self._ticked = state["listening"]
        held.make_room()
        held.inputs.restore(state["inputs"])
        held.histories.restore(state["histories"])
        self._records.restore(state["records"])
        held.newest.restore(state["newest"])
        self._owed = msgspec.convert(state["owed"], list[Transition])
        self._placement.follow()
        held.cells.put_in(Saved(**{name: np.array(column) for name, column in state["cells"].items()}))
        if state["known"] != self._placement.known:
            self._owed += self._told(reconcile(held, sorted(held.standings)))
