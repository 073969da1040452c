"""Requests about silences and acknowledgements: checked before they are journaled, answered once they are on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records.inputs import Input, Moment, Reload
from edge_gateway.rules.language.ruleset import RuleSet
from edge_gateway.rules.muting.silences import MOST_SILENCES
from edge_gateway.service.muting_requests import LONGEST_REASON, MutingRequests
from tests.gateway.fold.given import START, batch, birth, moment, reading, settings
from tests.gateway.rules.muting.muted import hot


@dataclass
class Engine:
    """Folds at once; `durable` notes that it was waited for."""

    pipeline: Pipeline
    newest: int = 0
    waited: list[int] = field(default_factory=list)
    ms: int = 10_000

    def moment(self) -> Moment:
        return moment(self.ms)

    def fold(self, given: Input) -> None:
        self.newest += 1
        self.pipeline.fold(given, number=self.newest)

    async def durable(self, number: int) -> None:
        self.waited.append(number)


class Rig:
    def __init__(self) -> None:
        pipeline = build_pipeline("gw", settings())
        self.engine = Engine(pipeline)
        self.muting = MutingRequests(pipeline, cast("Any", self.engine))
        self.engine.fold(Reload(moment(0), RuleSet((hot(metric="temperature"),)).to_plain()))
        self.engine.fold(batch(0, birth("f1", line="L1"), birth("f2")))
        self.read(0, 15.0)

    def read(self, seq: int, value: float) -> None:
        self.engine.fold(batch(1_000 + seq, reading("f1", seq, 1_000 + seq, temperature=value)))

    async def silence(self, until: str = "2h", why: str = "defrosting", **match: str) -> dict[str, Any]:
        globs = {key: [glob] for key, glob in match.items()}
        return await self.muting.add_silence({"match": globs, "until": until, "why": why})


async def test_a_silence_is_on_disk_when_it_is_answered_and_says_what_it_mutes() -> None:
    rig = Rig()
    added = await rig.silence(site="berlin")
    assert rig.engine.waited == [rig.engine.newest]
    assert added == {
        "id": 1,
        "match": "site=berlin",
        "commands": False,
        "until": START + 10_000 + 7_200_000,
        "since": START + 10_000,
        "by": "unknown",
        "why": "defrosting",
        "muted": 1,
        "warning": "",
    }
    assert [one["id"] for one in rig.muting.silences()] == [1]
    assert "is ended" in await rig.muting.end_silence({"silence": 1})
    assert rig.muting.silences() == []
    with pytest.raises(ValueError, match="there is no silence 1; in force: none"):
        await rig.muting.end_silence({"silence": 1})


@pytest.mark.parametrize(
    ("request_sent", "said"),
    [
        ({}, "a silence needs a selection: --match site=berlin"),
        ({"match": {"site": "berlin"}}, "'match' maps 'site' to 1 to 64 texts"),
        ({"match": {"site": []}}, "'match' maps 'site'"),
        ({"match": {"site": ["a\nb"]}}, "a character that cannot be shown"),
        ({"match": {str(key): ["x"] for key in range(17)}}, "at most 16 keys"),
        ({"match": {"site": ["a"]}, "why": 5}, "'why' must be a text"),
        ({"match": {"site": ["a"]}, "why": " "}, "a silence needs a reason"),
        ({"match": {"site": ["a"]}, "why": "w"}, "a silence needs an end: --until 2h"),
        (
            {"match": {"site": ["a"]}, "why": "w", "until": "soon"},
            "--until 'soon' is neither a duration nor a time",
        ),
        (
            {"match": {"site": ["a"]}, "why": "w", "until": "2000-01-01"},
            "--until 2000-01-01 is over; it is 2025-",
        ),
        ({"match": {"site": ["a"]}, "why": "w", "until": "2y"}, "lasts a year at most"),
    ],
)
async def test_a_request_that_is_wrong_changes_nothing(request_sent: dict[str, Any], said: str) -> None:
    rig = Rig()
    before = rig.engine.newest
    with pytest.raises(ValueError, match=said):
        await rig.muting.add_silence(request_sent)
    assert rig.engine.newest == before


async def test_there_is_a_bound_of_silences_and_of_their_reasons() -> None:
    rig = Rig()
    for _ in range(MOST_SILENCES):
        await rig.silence(site="berlin", why="w" * 1_000)
    assert {len(one["why"]) for one in rig.muting.silences()} == {LONGEST_REASON}
    with pytest.raises(ValueError, match="there are 100 silences"):
        await rig.silence(site="berlin")


async def test_a_silence_that_matches_nothing_is_told_at_once() -> None:
    added = await Rig().silence(site="berln")
    assert added["warning"] == "no device with site 'berln' is known here; did you mean 'berlin'?"


async def test_a_time_is_utc_unless_it_says_otherwise() -> None:
    rig = Rig()
    for text in ("2025-10-10T09:53:20", "2025-10-10T11:53:20+02:00", "2025-10-10T09:53:20Z"):
        assert (await rig.silence(text, site="berlin"))["until"] == 1_760_090_000_000


async def test_an_alert_is_acknowledged_by_its_id_the_beginning_of_one_or_its_name() -> None:
    for of in (lambda row: row["id"], lambda row: row["id"][:5], lambda _row: "Hot/f1"):
        rig = Rig()
        (row,) = rig.muting.unacknowledged()
        told = await rig.muting.acknowledge({"alert": of(row)})
        assert told == "Hot/f1 (warning, firing) is acknowledged by unknown"
        assert list(rig.muting.unacknowledged()) == []
        assert await rig.muting.acknowledge({"alert": row["id"]}) == "Hot/f1 is acknowledged already"


async def test_an_alert_that_ended_unacknowledged_is_listed_until_it_is_acknowledged() -> None:
    rig = Rig()
    rig.read(1, 5.0)
    (row,) = rig.muting.unacknowledged()
    assert row["state"] == "resolved"
    assert "resolved) is acknowledged" in await rig.muting.acknowledge({"alert": "Hot/f1"})
    with pytest.raises(ValueError, match="no alert 'Hot/f1' fires or ended unacknowledged within a day; "):
        await rig.muting.acknowledge({"alert": "Hot/f1"})


async def test_a_name_that_is_not_known_is_told_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no alert 'Hot/f2'.*did you mean 'Hot/f1'"):
        await Rig().muting.acknowledge({"alert": "Hot/f2"})
