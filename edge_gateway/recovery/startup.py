"""From a spool directory to a running state: newest checkpoint, then the records after it, then a new checkpoint.

checkpoint ─▶ restore, under the settings it was written with
records ────▶ fold each input; the effects in the record go to the store, once, by number
settings ───▶ switch to the configuration, and write a checkpoint with it before anything new
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.errors import BadInput, GatewayError
from edge_gateway.fold.series_names import SeriesNames
from edge_gateway.fold.settings import FoldSettings
from edge_gateway.journal import spool
from edge_gateway.journal.checkpoint import refuse_other, write_checkpoint
from edge_gateway.journal.files import FILES, Files
from edge_gateway.journal.segments import Journal
from edge_gateway.journal.spool_owner import refuse_forbidden
from edge_gateway.recovery import attempts as recovery
from edge_gateway.recovery.record import refuse_other_fold
from edge_gateway.recovery.replay import Replay, StateNames, effects_in
from edge_gateway.recovery.settings import fold_settings
from edge_gateway.recovery.state import State
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.clock import MachineClock
from edge_gateway.store import schema
from edge_gateway.store.apply import Resolver
from edge_gateway.store.budget import quarantine_bytes
from edge_gateway.store.database import Store
from edge_gateway.store.outbox import SinkBudget
from edge_gateway.store.rebuild import Records
from edge_gateway.store.settings import StoredTier, StoreSettings
from fleet_config.counting import counted, span
from fleet_config.durations import format_duration

log = logging.getLogger("edge_gateway.startup")

ALWAYS = -(1 << 62)
INFLUX = "influx"


@dataclass(slots=True)
class Startup:
    """A spool brought back: its state, open journal and store, and what was found.

    Attributes:
        number: the last record that state and store include.
        fresh: the spool was empty.
        whole: no record is missing before `number`, so that open windows are complete.
        differs: records with which other windows left in the replay than they say.
        seconds: how long it took.
        stopped_for: ms since the newest input; None if unknown.
        starts: nonces of this spool's starts, this one last.
        findings: (problem code, sentence) pairs for the log and the status.
    """

    state: State
    names: SeriesNames
    journal: Journal
    store: Store
    number: int
    fresh: bool
    whole: bool
    differs: int
    seconds: float
    stopped_for: int | None
    starts: tuple[str, ...]
    findings: list[tuple[Problem, str]] = field(default_factory=list)


def store_settings(config: GatewayConfig) -> StoreSettings:
    """Return the part of the configuration that the store needs."""
    influx = config.influx
    return StoreSettings(
        p95_metrics=frozenset(name for name, metric in config.metrics.items() if metric.p95),
        tiers=tuple(StoredTier(window.every, window.bucket, window.keep) for window in config.windows),
        forwarded=config.gateway.tags,
        sinks=(SinkBudget(INFLUX, influx.max_bytes, influx.on_full),) if influx else (),
        history_keep=config.history.keep,
        history_max_bytes=config.history.max_bytes,
        quarantine_max_bytes=quarantine_bytes(config.limits.quarantine, config.spool.max_bytes),
    )


class WatchedFiles(Files):
    """Files that report each read, so that opening a long journal counts as progress for the watchdog."""

    def __init__(self, progress: Callable[[], None]) -> None:
        self._progress = progress

    def read(self, path: Path) -> bytes:
        self._progress()
        return super().read(path)


def recover_spool(
    place: Path,
    config: GatewayConfig,
    gateway: str,
    clock: MachineClock,
    progress: Callable[[], None] = lambda: None,
) -> Startup:
    """Bring back what the spool holds, and write a checkpoint under the present configuration.

    Args:
        place: the spool directory, whose lock this process holds.
        config: of the gateway.
        gateway: its id.
        clock: learns which time the spool has seen; its monotonic time goes on where the spool's ends.
        progress: called after each file read and each record replayed.

    Raises:
        BadInput: the configuration has windows of other lengths, or this user may not use a file.
        OtherSpool: another version wrote it, and this one cannot go on from there.
    """
    started = time.perf_counter()
    refuse_forbidden(place)
    at = clock.wall()
    files = WatchedFiles(progress)
    refuse_other_versions(place, files)
    journal = Journal.open(place / spool.JOURNAL, max_bytes=config.spool.max_bytes, files=files, at=at)
    fresh = not _is_begun(place, journal)

    replay, found = _recover(
        place, config, gateway, journal, fresh=fresh, at=at, files=files, progress=progress
    )
    state = replay.state
    _take_over(state, fold_settings(config))
    store = replay.store
    ahead = store.applied > max(found.last, found.checkpoint, journal.last_number or 0)
    if replay.behind:
        store.freeze(at, unsure=state.least)
    stopped_for = _begin_clock(clock, state, fresh=fresh)
    state.pipeline.admission.vote.begin()
    number = max(found.last, found.checkpoint, journal.last_number or 0, store.applied)
    state.pipeline.completeness.untold |= not _is_whole(found, journal) or ahead or replay.astray
    store.sync()
    write_checkpoint(place / spool.CHECKPOINTS, number, state.snapshot())
    return Startup(
        state=state,
        names=SeriesNames(state.pipeline.registry),
        journal=journal,
        store=store,
        number=number,
        fresh=fresh,
        whole=not state.pipeline.completeness.untold,
        differs=len(replay.differs),
        seconds=time.perf_counter() - started,
        stopped_for=stopped_for,
        starts=spool.note_start(place, files),
        findings=[
            *_findings(place, found, journal, replay.differs),
            *_store_findings(place, store, fresh=fresh, ahead=ahead, behind=replay.behind),
        ],
    )


def refuse_other_versions(place: Path, files: Files = FILES) -> None:
    """Raise OtherSpool, before anything is changed, if this program cannot go on from what is there."""
    newest = refuse_other(place / spool.CHECKPOINTS, files=files)
    schema.refuse_other(place / spool.STORE)
    refuse_other_fold(place / spool.JOURNAL, newest, files=files)


def _is_begun(place: Path, journal: Journal) -> bool:
    """Return whether a gateway has left anything in the spool."""
    checkpoints = (place / spool.CHECKPOINTS).glob("checkpoint-*")
    return journal.last_number is not None or any(checkpoints) or schema.is_begun(place / spool.STORE)


def _recover(
    place: Path,
    config: GatewayConfig,
    gateway: str,
    journal: Journal,
    *,
    fresh: bool,
    at: int,
    files: Files,
    progress: Callable[[], None],
) -> tuple[Replay, recovery.Replayed]:
    """Recover, with a second attempt at once: the first notes a record that raises, the second bisects it."""
    for again in (False, True):
        replay = _beginning(place, config, gateway, journal, fresh=fresh, at=at)
        try:
            checkpoints = place / spool.CHECKPOINTS
            found = recovery.recover(
                checkpoints, journal, replay, at=at, progress=lambda _: progress(), files=files
            )
        except Exception as error:  # a second attempt begins without the state that raised it
            replay.close()
            if again or isinstance(error, GatewayError | OSError | sqlite3.Error):
                raise
            kind = type(error).__name__
            log.error("start-up failed with %s: %s; trying again", kind, error)  # noqa: TRY400 - no traceback
            continue
        return replay, found
    raise AssertionError("the second attempt returns or raises")


def _beginning(
    place: Path, config: GatewayConfig, gateway: str, journal: Journal, *, fresh: bool, at: int
) -> Replay:
    """Return an empty state, with a store that is opened once the checkpoint is known."""
    state = State.new(gateway, fold_settings(config))
    names = StateNames(state)

    def opened(damage: str = "") -> Store:
        if fresh:
            return open_store(place, config, floor=ALWAYS, at=at, unsure=None, damage=damage)
        return _open_to_go_on(place, config, names, journal, at, damage)

    return Replay(state, journal, opened, names)


def _open_to_go_on(  # noqa: PLR0917 - where recovery is
    place: Path, config: GatewayConfig, names: StateNames, journal: Journal, at: int, damage: str
) -> Store:
    """Open the store; rebuild a lost one from the journal. What no record names, `names` may know.

    The spool is begun, so a store file that holds nothing has lost it.
    No clock is sure yet: the time now is that of the machine, and at least the newest that the state has seen.
    """
    return open_store(
        place,
        config,
        floor=lost_floor(at, names.state.pipeline.windows.closed_to, config),
        at=at,
        unsure=names.state.least,
        names=names,
        records=lambda: effects_in(journal),
        damage=damage or schema.emptied(place / spool.STORE),
    )


def lost_floor(at: int, closed_to: int, config: GatewayConfig) -> int:
    """Return the time (ms) from which on a store lost at `at` lost nothing; windows are closed up to `closed_to`.

    One stamp from 2099, taken while the clock was not trusted, must not keep every later window from being corrected.
    """
    return max(at, min(closed_to, at + config.time.max_future_skew))


def open_store(
    place: Path,
    config: GatewayConfig,
    *,
    floor: int,
    at: int,
    unsure: int | None,
    names: Resolver | None = None,
    records: Records | None = None,
    damage: str = "",
) -> Store:
    """Open the store of a spool.

    Args:
        place: the spool directory.
        config: of the gateway.
        floor: wall time in ms before which a new store may be incomplete.
        at: wall time in ms.
        unsure: the least the time can be, if `floor` is the wall time of a clock that is not sure; else None.
        names: resolves series and texts that a new store has no names of.
        records: the journal's effects, to fill a new store.
        damage: the reason to set the present file aside first; empty for none.
    """
    return Store.open(
        place / spool.STORE,
        store_settings(config),
        floor=floor,
        at=at,
        unsure=unsure,
        resolver=names,
        records=records,
        damage=damage,
    )


def _take_over(state: State, settings: FoldSettings) -> None:
    """Switch to the settings of the configuration; BadInput where it has windows of other lengths."""
    if settings == state.settings:
        return
    if settings.every != state.settings.every:
        held = ", ".join(map(format_duration, state.settings.every))
        wanted = ", ".join(map(format_duration, settings.every))
        raise BadInput(
            f"the spool was begun with windows of {held}, but the configuration says {wanted}: "
            "restore the old windows, or set a new spool.path after draining the old one"
        )
    state.take_over(settings)


def _begin_clock(clock: MachineClock, state: State, *, fresh: bool) -> int | None:
    """Let the clock go on from what the spool has seen; return for how long (ms) it was stopped, None if unknown."""
    clock.begin(state.least, state.wall, None if fresh else max(state.least, state.aged))
    state.least, state.aged = clock.least, clock.aged
    stopped_for = state.stopped_for(clock.wall(), trusted=clock.trusted())
    clock.go_on_from(state.monotonic + (stopped_for or 0))
    return stopped_for


def _is_whole(found: recovery.Replayed, journal: Journal) -> bool:
    """Return whether every record since the checkpoint, or since the first one, was folded."""
    headless = not journal.first_number and found.checkpoint < 0 and bool(found.skipped_checkpoints)
    return not (headless or _lost_records(found, journal) or found.unreadable)


def _lost_records(found: recovery.Replayed, journal: Journal) -> list[tuple[int, int]]:
    """Return the ranges of records that are lost; one that the checkpoint includes is not needed any more.

    The first may be those that `spool.on_full: drop_oldest` dropped before a checkpoint had them.
    """
    needed, begins_at = max(found.checkpoint, 0) + 1, journal.first_number or 0
    dropped = [(needed, begins_at - 1)] if begins_at > needed else []
    return dropped + [hole for hole in journal.report.lost if hole[1] > found.checkpoint]


def _findings(
    place: Path, found: recovery.Replayed, journal: Journal, differs: Sequence[str]
) -> list[tuple[Problem, str]]:
    """Return the problems found in journal and checkpoints, for the operator."""
    findings = []
    if journal.report.set_aside:
        findings.append((Problem.JOURNAL_CORRUPT, _named(place / spool.JOURNAL, journal.report.set_aside)))
    if lost := _lost_records(found, journal):
        spans = ", ".join(span(*hole) for hole in lost)
        text = f"records of {place / spool.JOURNAL} are missing or could not be read: {spans}"
        findings.append((Problem.RECORDS_LOST, text))
    if found.skipped_checkpoints:
        findings.append(
            (Problem.CHECKPOINT_CORRUPT, _named(place / spool.CHECKPOINTS, found.skipped_checkpoints))
        )
    if differs:
        more = f", and {counted(len(differs) - 1, 'more record')}" if len(differs) > 1 else ""
        findings.append((Problem.REPLAY_DIFFERS, f"{differs[0]}{more}"))
    if found.culprits:
        findings.append((Problem.RECORDS_QUARANTINED, counted(found.culprits, "input")))
    return findings


def _named(directory: Path, names: Sequence[str]) -> str:
    return f"{directory}: {', '.join(names)}"


def _store_findings(
    place: Path, store: Store, *, fresh: bool, ahead: bool, behind: bool
) -> list[tuple[Problem, str]]:
    """Return the problems found in the store, for the operator."""
    findings = []
    if lost := store.lost_text():
        findings.append((Problem.STORE_CORRUPT, lost))
    elif store.opened.created and not fresh:
        findings.append(
            (
                Problem.STORE_CORRUPT,
                f"{store.path} was missing: the history is lost but for what the journal still held",
            )
        )
    if ahead:
        findings.append(
            (
                Problem.RECORDS_LOST,
                f"{place / spool.JOURNAL} ends before record {store.applied}, which the store has",
            )
        )
    if behind:
        findings.append((Problem.STORE_BEHIND, str(store.path)))
    return findings
