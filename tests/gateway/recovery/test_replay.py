"""A replay lets leave what the journal says, compares, and tells where the two differ. Nothing counts twice."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_gateway.fold import pipeline
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.journal import spool
from edge_gateway.journal.checkpoint import write_checkpoint
from edge_gateway.journal.segments import read_unopened
from edge_gateway.records import codec
from edge_gateway.records.closings import Closings, CoarseStep
from edge_gateway.records.inputs import Batch, Moment, Reload, StateLost
from edge_gateway.records.store_effects import ClosedWindows, Kind, SeriesName, effects_from_tree
from edge_gateway.recovery.attempts import Attempts, AttemptsFile
from edge_gateway.recovery.startup import Startup
from edge_gateway.rules.language.ruleset import Level, Rule, RuleSet
from edge_gateway.status.catalogue import Problem
from edge_gateway.store.database import Store
from edge_gateway.windows.closed import TierBlock
from tests.gateway.recovery.journaled import DEVICES, SECONDS, START, journal, opened, second

SERIES = 2 * len(DEVICES)


def counted(closed: Iterable[ClosedWindows | TierBlock]) -> Counter[tuple[int, int]]:
    """How many readings the windows hold, by (tier, series)."""
    found: Counter[tuple[int, int]] = Counter()
    for part in closed:
        for row in part.rows:
            found[part.tier, int(row["series"])] += int(row["count"])
    return found


def lived(place: Path, *, apply: bool = True, **changes: dict[int, Any]) -> list[ClosedWindows]:
    """Record a life; `changes` are made to records, by number. Return the windows that closed."""
    closed: list[ClosedWindows] = []
    with opened(place) as life:
        for number in range(1, SECONDS):
            of_this = {name: by[number] for name, by in changes.items() if number in by}
            closed += journal(life, number, second(number * 1000), apply=apply, **of_this).windows
    return closed


@pytest.mark.parametrize(("first", "then"), [(16_384, 1), (1, 16_384)])
def test_another_pace_ends_in_the_same_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int, then: int
) -> None:
    monkeypatch.setattr(pipeline, "CLOSE_SHARE", 0)
    monkeypatch.setattr(pipeline, "CLOSE_ROWS", first)
    place = tmp_path / "spool"
    closed: list[Any] = []
    with opened(place) as life:
        for number in range(1, SECONDS):
            closed += journal(life, number, second(number * 1000)).windows
        state = codec.pack(life.state.pipeline.snapshot())
    monkeypatch.setattr(pipeline, "CLOSE_ROWS", then)
    with opened(place) as life:
        assert (life.findings, life.whole, life.differs) == ([], True, 0)
        assert codec.pack(life.state.pipeline.snapshot()) == state
        rest = life.state.pipeline.windows.drain()
    both = counted([*closed, *rest.numbers])
    assert both == {(tier, series): SECONDS - 1 for tier in (0, 1) for series in range(SERIES)}


# --- a record that does not fit


def told(place: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(place / spool.STORE)) as db:
        return list(db.execute("SELECT code, text FROM event"))


def goes_on(place: Path) -> tuple[list[tuple[Problem, str]], list[ClosedWindows]]:
    """Start twice, killed before anything is recorded, and go on; return the findings and what closes then."""
    with opened(place) as life:
        findings = life.findings
        assert not life.whole
    with opened(place) as life:
        assert not life.whole, "what was found is not forgotten with the start that found it"
        number, closed = life.number + 1, list[ClosedWindows]()
        journal(life, number, StateLost(second(SECONDS * 1000).moment))
        for step in range(1, 20):
            closed += journal(life, number + step, second((SECONDS + step) * 1000)).windows
    with opened(place) as life:
        assert (life.whole, life.findings) == (True, [])
    return findings, closed


def closings_lost() -> dict[str, dict[int, Any]]:
    return {"closings": {16: [Closings()]}}


def a_message_less() -> dict[str, dict[int, Any]]:
    return {"inputs": {13: [second(13_000, DEVICES[1:])]}}


@pytest.mark.parametrize("apply", [True, False])
@pytest.mark.parametrize("sabotage", [closings_lost, a_message_less])
def test_a_record_with_other_windows_is_told_and_what_is_open_goes_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sabotage: Any, apply: bool
) -> None:
    monkeypatch.setattr(pipeline, "CLOSE_ROWS", 16_384)
    place, changes = tmp_path / "spool", sabotage()
    closed = lived(place, apply=apply, **changes)
    findings, later = goes_on(place)
    [(problem, text)] = findings
    assert problem is Problem.REPLAY_DIFFERS
    ((first, what), *_) = told(place)
    assert first == "replay_differs"
    assert text.startswith(what)
    assert what.startswith("record ")
    whole = [one for one in later if one.kind is not Kind.PARTIAL]
    apart = [one for one in later if one.kind is Kind.PARTIAL]
    starts = {int(start) for one in whole for start in one.rows["start"]}
    assert starts, "else nothing is whole again"
    assert min(starts) >= START + SECONDS * 1000
    ends = {(one.tier, int(row["start"]), int(row["series"])) for one in closed for row in one.rows}
    again = {(one.tier, int(row["start"]), int(row["series"])) for one in whole for row in one.rows}
    assert not ends & again, "no window that is stored is written again"
    assert apart, "what is open is not dropped"


def test_a_record_of_another_fold_that_is_met_late_counts_as_lost(tmp_path: Path) -> None:
    """Such a spool is refused, but here a checkpoint covered the record, which proves not to be valid."""
    place = tmp_path / "spool"
    lived(place)
    with opened(place) as life:
        journal(life, SECONDS, second(SECONDS * 1000), fold=99)
    write_checkpoint(place / spool.CHECKPOINTS, SECONDS, {"no": "state"})
    with opened(place) as life:
        assert Problem.CHECKPOINT_CORRUPT in dict(life.findings)
        assert not life.whole


def refusing(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """The store raises this error of SQLite for the effects of record 5."""
    apply = Store.apply

    def applied(self: Store, records: Any) -> None:
        if any(number == 5 and not effects[0].events for number, effects in records):
            error = sqlite3.IntegrityError("refused")
            error.sqlite_errorcode = code
            raise error
        apply(self, records)

    monkeypatch.setattr(Store, "apply", applied)


def test_a_record_that_the_store_cannot_hold_is_passed_over_and_noted_as_in_operation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "spool"
    lived(place, apply=False)
    with monkeypatch.context() as patch:
        refusing(patch, sqlite3.SQLITE_CONSTRAINT)
        with opened(place) as life:
            assert life.number == SECONDS - 1
    assert told(place) == [("record_refused", "record 5: IntegrityError: refused")]


def test_a_disk_that_is_full_ends_the_replay_and_the_next_one_stores_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "spool"
    lived(place, apply=False)
    with monkeypatch.context() as patch:
        refusing(patch, sqlite3.SQLITE_FULL)
        for _ in range(3):
            with pytest.raises(sqlite3.Error, match="refused"), opened(place):
                pass
    with opened(place) as life:
        assert (life.number, life.findings) == (SECONDS - 1, [])
    assert told(place) == []


# --- a message that cannot be folded


def failing(monkeypatch: pytest.MonkeyPatch, device: str, at: int) -> None:
    """From now on no batch can be folded with the message that this device sent in record `at`."""
    fold, given_then = Pipeline.fold, second(at * 1000, [device])

    def folded(self: Pipeline, given: Any, recorded: Any = None, *, number: int) -> Any:
        if isinstance(given, Batch):
            messages = zip(given.topics, given.payloads, strict=True)
            if (given_then.topics[0], given_then.payloads[0]) in messages:
                raise LookupError("a defect")
        return fold(self, given, recorded, number=number)

    monkeypatch.setattr(Pipeline, "fold", folded)


@pytest.mark.parametrize("culprit", ["d0", "d2", "d5", "new"])
@pytest.mark.parametrize("at", [11, 12, 16, 17, 21])
def test_without_a_culprit_everything_closes_as_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, culprit: str
) -> None:
    place, closed = tmp_path / "spool", list[ClosedWindows]()
    with opened(place) as life:
        for number in range(1, SECONDS):
            more = ["new"] if (number, culprit) == (at, "new") else []
            devices = [*DEVICES[:3], *more, *DEVICES[3:]]
            closed += journal(life, number, second(number * 1000, devices)).windows
    failing(monkeypatch, culprit, at)
    with opened(place) as life:
        assert life.findings == [(Problem.RECORDS_QUARANTINED, "1 input")]
        assert life.whole
        rest = named(life, life.state.pipeline.windows.drain().numbers)
    both = recorded(place, closed) + rest
    expected = {(tier, d, m): SECONDS - 1 for tier in (0, 1) for d in DEVICES for m in ("heat", "level")}
    assert {key: count for key, count in both.items() if key[1] != "new"} == expected
    assert not any(device == "new" for _, device, _ in rest)


@pytest.mark.parametrize("at", [12, 16])
def test_a_record_that_kills_the_program_is_left_out_and_told_if_windows_left_with_it(
    tmp_path: Path, at: int
) -> None:
    place = tmp_path / "spool"
    lived(place)
    AttemptsFile(place / spool.CHECKPOINTS).write(Attempts(attempt=5, at_hand=at, suspect=at, deaths=2))
    with opened(place) as life:
        found = dict(life.findings)
        assert found.pop(Problem.RECORDS_QUARANTINED) == "1 input"
        assert list(found) == ([Problem.REPLAY_DIFFERS] if at == 16 else [])
        assert life.whole == (at != 16)
    assert [text.startswith(f"record {at}: its windows could not leave") for _, text in told(place)] == [
        True
    ] * (at == 16)


def test_windows_that_cannot_leave_are_told_and_no_message_goes_to_quarantine(tmp_path: Path) -> None:
    place, nonsense = tmp_path / "spool", CoarseStep(0, np.array([-(10**9)]), np.array([], np.int64))
    lived(place, closings={16: [Closings(coarse=[nonsense])]})
    with opened(place) as life:
        assert dict(life.findings)[Problem.REPLAY_DIFFERS].startswith("record 1")
        assert not life.whole
        assert life.store.quarantined(-(1 << 62), 10) == []
    assert any(text.startswith("record 16: its windows could not leave") for _, text in told(place))


def test_a_record_of_which_a_part_is_missing_is_lost(tmp_path: Path) -> None:
    place = tmp_path / "spool"
    lived(place, closings={16: []})
    with opened(place) as life:
        assert (life.whole, life.differs, life.number) == (False, 0, SECONDS - 1)


def named(life: Startup, closed: Iterable[TierBlock]) -> Counter[tuple[int, str, str]]:
    """How many readings windows hold, by (tier, device, metric)."""
    registry, found = life.state.pipeline.registry, Counter[tuple[int, str, str]]()
    for part in closed:
        for row in part.rows:
            series = int(row["series"])
            device = registry.device_name[int(registry.series_device[series])]
            metric = registry.metric_names[int(registry.series_metric[series])]
            found[part.tier, device, metric] += int(row["count"])
    return found


def recorded(place: Path, closed: Iterable[ClosedWindows]) -> Counter[tuple[int, str, str]]:
    """The same of what the first run closed, by the names that the records define."""
    names: dict[tuple[int, int], SeriesName] = {}
    found = Counter[tuple[int, str, str]]()
    for _, body in read_unopened(place / spool.JOURNAL, 0):
        for tree in codec.decode(body)["effects"]:
            effects = effects_from_tree(tree)
            names |= {(one.series, one.version): one for one in effects.series}
            for part in effects.windows:
                for row, version in zip(part.rows, part.versions.tolist(), strict=True):
                    name = names[int(row["series"]), version]
                    found[part.tier, name.device, name.metric] += int(row["count"])
    assert sum(found.values()) == sum(int(part.rows["count"].sum()) for part in closed)
    return found


def test_a_replay_gives_alerts_the_ids_they_had_and_goes_on_with_their_stamps(tmp_path: Path) -> None:
    place = tmp_path / "spool"
    hot = Rule(name="Hot", group="g", expr="heat", levels=(Level("warning", limit=2.5),))
    with opened(place) as life:
        journal(life, 1, Reload(Moment(START, 0), RuleSet((hot,)).to_plain()))
        made = [journal(life, number, second(number * 1000)) for number in range(2, 5)]
        told = [(alert.subject, alert.id, alert.at) for effects in made for alert in effects.alerts]
        assert len(told) == len({alert for _, alert, _ in told}) == len(DEVICES)
        state = life.state.pipeline.rules.snapshot()
    with opened(place) as life:
        rules = life.state.pipeline.rules
        assert [(alert.subject, alert.id, alert.at) for alert in rules.firing()] == told
        assert codec.pack(rules.snapshot()) == codec.pack(state)
        gone = journal(life, 5, Reload(Moment(START, 5_000), RuleSet().to_plain()))
        journal(life, 6, Reload(Moment(START, 5_000), RuleSet((hot,)).to_plain()))
        again = journal(life, 7, second(5_000))
    ids = {alert.id for effects in (gone, again) for alert in effects.alerts}
    assert len(ids) == 2 * len(DEVICES), "a rule that comes back begins other alerts"
