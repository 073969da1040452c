"""Every point names something of the gateway that is there, and what happens at it happens once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import types
from typing import Any

import pytest

from tests.proofs.ground.failpoints import POINTS, Armed, Attribute, NoSuchPoint, Point, action_of, point_of
from tests.proofs.ground.sabotaged import Sabotage, change


class Work:
    """What points are put into."""

    done: list[Any]

    def __init__(self) -> None:
        self.done = []

    def write(self, data: bytes) -> int:
        self.done.append(data)
        return len(data)

    def both(self, data: bytes) -> None:
        self.write(data)
        self.write(data)

    async def send(self, data: bytes) -> bytes:
        self.done.append(data)
        await asyncio.sleep(0.05)
        return data

    def wait(self) -> float:
        return 0.25

    @classmethod
    def make(cls) -> Work:
        return cls()


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> type[Work]:
    class Fresh(Work):
        write, both, send, wait = Work.write, Work.both, Work.send, Work.wait
        make = vars(Work)["make"]

    module = types.ModuleType("some_work")
    module.Work = Fresh  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "some_work", module)
    return Fresh


def armed(monkeypatch: pytest.MonkeyPatch, happened: list[str], path: str, when: Any, **more: Any) -> Armed:
    within = more.pop("within", None)
    point = Point(
        Attribute.parse(f"some_work:{path}"),
        when,
        "",
        None if within is None else Attribute.parse(f"some_work:{within}"),
    )
    monkeypatch.setitem(POINTS, "here", point)
    one = Armed("here", more.pop("nth", 1), lambda: happened.append("now"), **more)
    one.arm()
    return one


@pytest.mark.parametrize("name", POINTS)
def test_every_failpoint_exists(name: str) -> None:
    point = point_of(name)
    owner, attribute, held = point.attribute.resolve()
    assert callable(held) or isinstance(held, classmethod), (owner, attribute)
    if point.within is not None:
        point.within.resolve()


@pytest.mark.parametrize(
    "text",
    [
        "edge_gateway.service.engine:Engine.gone",
        "edge_gateway.service.engine:Gone.submit",
        "edge_gateway.gone:x",
        "engine",
    ],
)
def test_a_missing_place_is_reported(text: str) -> None:
    with pytest.raises(NoSuchPoint):
        Attribute.parse(text).resolve()


def test_an_unknown_failpoint_is_reported() -> None:
    with pytest.raises(NoSuchPoint, match="known: read"):
        point_of("gone")


def test_a_failpoint_acts_once_at_the_nth_call(work: type[Work], monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    armed(monkeypatch, happened, "Work.write", "before", nth=2)
    one = work()
    counts = []
    for _ in range(4):
        one.write(b"x")
        counts.append(len(happened))
    assert counts == [0, 1, 1, 1]
    assert one.done == [b"x"] * 4


def test_a_failpoint_can_act_after_half_of_the_work(
    work: type[Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[Any]] = []
    one = work()
    armed(monkeypatch, [], "Work.write", "half").act = lambda: seen.append(list(one.done))
    one.write(b"abcd")
    assert seen == [[b"ab"]]
    assert one.done == [b"ab", b"cd"]


def test_a_failpoint_can_act_only_within_another_call(
    work: type[Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    armed(monkeypatch, happened, "Work.write", "after", within="Work.both", nth=2)
    one = work()
    one.write(b"")
    one.write(b"")
    assert not happened
    one.both(b"")
    assert happened


async def test_a_failpoint_can_act_while_a_coroutine_runs(
    work: type[Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    armed(monkeypatch, happened, "Work.send", "during")
    assert await work().send(b"x") == b"x"
    assert happened


async def test_a_failpoint_can_act_after_a_coroutine(
    work: type[Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    armed(monkeypatch, happened, "Work.send", "after", nth=2)
    one = work()
    await one.send(b"")
    assert not happened
    await one.send(b"")
    assert happened


def test_a_failpoint_can_lengthen_a_wait(work: type[Work], monkeypatch: pytest.MonkeyPatch) -> None:
    armed(monkeypatch, [], "Work.wait", "longer", seconds=9.0)
    assert work().wait() == 9.25
    assert work().wait() == 0.25


def test_a_wrapped_class_method_remains_one(work: type[Work], monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    armed(monkeypatch, happened, "Work.make", "before")
    assert isinstance(work.make(), work)
    assert happened


def test_an_action_may_have_a_duration_and_an_unknown_one_is_refused() -> None:
    assert action_of("block:0.5", "before")[1] == 0.5
    with pytest.raises(NoSuchPoint, match="known: kill, block"):
        action_of("burn", "before")


def test_a_failpoint_can_replace_a_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("some_constants")
    module.MOST, module.NAME = 7, "x"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "some_constants", module)
    change("some_constants:MOST=9")
    assert module.MOST == 9
    for wrong in ("some_constants:GONE=1", "some_constants:NAME=1"):
        with pytest.raises(NoSuchPoint):
            change(wrong)


def test_a_program_that_kills_itself_reports_where() -> None:
    sabotage = Sabotage("closing", 1, "kill", (("edge_gateway.service.maintenance:CHECKPOINT_EVERY", 2.0),))
    done = subprocess.run(
        [sys.executable, *sabotage.command(), "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "edge-gateway" in done.stdout
    gone = subprocess.run(
        [sys.executable, *Sabotage("gone").command(), "run"], capture_output=True, text=True, check=False
    )
    assert gone.returncode == 2
    assert "no point 'gone'" in gone.stderr
