"""Operators' requests are carried out, or refused with a reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge_gateway.fleet.registry import Registry
from edge_gateway.fleet.watch.troubled_topics import TroubledTopics
from edge_gateway.records.inputs import ClockConfirmed, Forget, Input, Moment
from edge_gateway.service.operators import Operators

NOW = Moment(5, 7)


@dataclass
class Engine:
    """Folds nothing, and notes in which order it is asked."""

    newest: int = 6
    calls: list[object] = field(default_factory=list)

    def moment(self) -> Moment:
        return NOW

    def fold(self, given: Input) -> None:
        self.calls.append(given)
        self.newest += 1

    def confirm_clock(self) -> Moment:
        self.fold(ClockConfirmed(NOW))
        return NOW

    async def durable(self, number: int) -> None:
        self.calls.append(number)


@dataclass
class Rules:
    """The watch of the rule files."""

    error: Exception | None = None

    async def load(self) -> str:
        if self.error is not None:
            raise self.error
        return "3 rules, abc"


@dataclass
class Rig:
    engine: Engine = field(default_factory=Engine)
    rules: Rules = field(default_factory=Rules)
    published: list[bool] = field(default_factory=list)

    @property
    def operators(self) -> Operators:
        registry = Registry()
        registry.device("berlin", "freezer")
        troubles = TroubledTopics()
        troubles.quarantined("fleet/v1/berlin/stranger/telemetry", "JSON", 0, known=False)
        return Operators(
            cast("Any", self.rules),
            lambda: self.published.append(True),
            cast("Any", SimpleNamespace(registry=registry, watch=SimpleNamespace(troubles=troubles))),
            cast("Any", self.engine),
        )

    async def ask(self, do: str, **args: Any) -> str:
        return await self.operators(do, args)


async def test_a_confirmed_clock_is_on_disk_before_the_answer() -> None:
    rig = Rig()
    assert await rig.operators.confirm_clock() == "the gateway takes 1970-01-01 00:00:00Z for the right time"
    assert rig.engine.calls == [ClockConfirmed(NOW), 7]


async def test_reload_loads_the_rules_and_returns_their_summary() -> None:
    assert await Rig().ask("reload") == "3 rules, abc"


async def test_reload_says_why_the_files_cannot_be_read() -> None:
    with pytest.raises(ValueError, match="Too many open files"):
        await Rig(rules=Rules(OSError(24, "Too many open files"))).ask("reload")


async def test_report_publishes_the_status() -> None:
    rig = Rig()
    assert await rig.ask("report") == "published"
    assert rig.published == [True]


async def test_forget_answers_once_it_is_on_disk() -> None:
    rig = Rig()
    assert (await rig.ask("forget", device="freezer")).startswith("freezer: ")
    assert rig.engine.calls == [Forget(NOW, "freezer", None, "an operator over MQTT"), 7]


async def test_a_publisher_that_is_no_device_can_be_forgotten_too() -> None:
    rig = Rig()
    told = await rig.ask("forget", device="stranger")
    assert told == "stranger: forgotten; it is listed again with the next message that cannot be used"
    assert rig.engine.calls == [Forget(NOW, "stranger", None, "an operator over MQTT"), 7]
    with pytest.raises(ValueError, match="'stranger' has no metrics: nothing it sent was accepted"):
        await rig.ask("forget", device="stranger", metric="temperature")


async def test_forgetting_an_unknown_device_folds_nothing() -> None:
    rig = Rig()
    with pytest.raises(ValueError, match="no device 'oven'"):
        await rig.ask("forget", device="oven")
    assert rig.engine.calls == []


async def test_an_unknown_operation_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown operation 'dance'; known: reload, report, forget"):
        await Rig().ask("dance")
