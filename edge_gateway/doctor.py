"""Check this machine for what would stop or hinder a gateway."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_gateway.configuration import gateway_id
from edge_gateway.configuration.credentials import Credentials
from edge_gateway.configuration.in_force import changed, in_force
from edge_gateway.configuration.loading import read_secrets
from edge_gateway.configuration.model import GatewayConfig, InfluxSection
from edge_gateway.configuration.rules_folder import no_folder, read_rules
from edge_gateway.errors import GatewayError
from edge_gateway.journal import spool, spool_owner
from edge_gateway.journal.reserve import RESERVE_BYTES
from edge_gateway.mqtt.broker_trouble import lost_text
from edge_gateway.service.app import session_options
from edge_gateway.service.disk_guard import LOAN
from edge_gateway.sinks.influx.check import faults_of_writing
from edge_gateway.sinks.influx.writer import InfluxWriter
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.clock import ClockState, MachineClock, synchronised
from edge_gateway.status.problem import Gravity
from fleet_config.counting import counted
from fleet_config.problems import ProblemsFound
from fleet_wire import local_socket
from fleet_wire.errors import plain_text
from fleet_wire.printable import printable
from fleet_wire.session import ConnectionLost, ConnectRefused, Session

SYNCS = 100
COMMIT_BYTES = 4_100
SECOND_BYTES = 5_000
READING_BYTES = 12
"""Bytes written to disk per commit, per second and per reading, as `./bench durability` measures them.

A commit writes at least one page of the journal, the store a few every five seconds. Each window of a minute, here of
twelve readings, is written to the store's log, then to its file, and later as part of a larger block.
"""
SLOW_SYNC_MS = 50.0
RESERVE = RESERVE_BYTES + LOAN
"""Bytes beyond the budgets: the file `reserve`, and what is lent to write a checkpoint when the disk is full."""
PATIENCE = 5.0
MOST_NAMED = 5
"""Named of the settings that changed, and of the files that belong to others."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check, and what it found.

    Attributes:
        ok: nothing it found keeps a gateway from its work.
        gravity: of a problem of the running gateway, or of what is no fault of this machine.
        since: when that problem began, wall ms.
    """

    check: str
    ok: bool
    detail: str
    gravity: Gravity | None = None
    since: int | None = None


def run_checks(settings: GatewayConfig, *, embedded: bool) -> list[CheckResult]:
    """Run all checks; nothing is changed."""
    return [_run(name, check, settings) for name, check in _checks(embedded=embedded)]


def check_gateway(place: Path) -> list[CheckResult] | None:
    """Ask the gateway that runs on the spool `place` for its problems; None if none runs, so far as can be seen."""
    try:
        report = asyncio.run(local_socket.call(place / spool.SOCKET, {"do": "status"}))
    except local_socket.NotRunning:
        return None
    except local_socket.RequestFailed as error:
        return [CheckResult("gateway", ok=True, detail=str(error), gravity=Gravity.WARNING)]
    except OSError as error:
        hidden = (
            left_to_owner("gateway", "the gateway", place) if isinstance(error, PermissionError) else None
        )
        return [
            hidden
            or CheckResult("gateway", ok=False, detail=f"it does not say how it is: {plain_text(error)}")
        ]
    return [_state_of(report), *map(_problem_of, report["problems"])]


def check_settings(settings: GatewayConfig) -> CheckResult | None:
    """Compare the settings with those of the gateway that runs on their spool; None if none tells them."""
    running = _ask_running(settings, "settings")
    if not running:
        return None
    keys = changed(running, in_force(settings))
    if keys:
        return CheckResult(
            "settings", ok=False, detail=f"restart the gateway: {_listed(keys)} changed since it started"
        )
    return CheckResult("settings", ok=True, detail="the gateway runs with them")


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _state_of(report: Mapping[str, Any]) -> CheckResult:
    found = counted(len(report["problems"]), "problem") if report["problems"] else "no problems"
    return CheckResult("gateway", ok=True, detail=f"{report['gateway']} is {report['state']}, {found}")


def _problem_of(problem: Mapping[str, Any]) -> CheckResult:
    gravity = Gravity(problem["gravity"])
    ok = gravity is not Gravity.FAILURE
    return CheckResult(f"problem {problem['code']}", ok, problem["text"], gravity, problem["since"])


Check = Callable[[GatewayConfig], str]


class CheckFailed(Exception):
    """A check failed; the text says what to do."""


class NotChecked(Exception):
    """This user may not check it; the text says what was found, and who may."""


def _checks(*, embedded: bool) -> Iterator[tuple[str, Check]]:
    yield "clock", _clock
    yield "spool", _spool
    yield "owners", _owners
    yield "sync", _sync
    yield "secrets", _secrets
    yield "rules", _rules
    if not embedded:
        yield "broker", _broker
    yield "influx", _influx


def _run(name: str, check: Check, settings: GatewayConfig) -> CheckResult:
    try:
        return CheckResult(name, ok=True, detail=check(settings))
    except NotChecked as unchecked:
        return CheckResult(name, ok=True, detail=str(unchecked), gravity=Gravity.NOTICE)
    except (CheckFailed, GatewayError, ProblemsFound, OSError) as error:
        return CheckResult(name, ok=False, detail=str(error))


def _clock(settings: GatewayConfig) -> str:
    """Check the clock, also by what a running gateway says of it: only that hears the fleet's clocks."""
    if not MachineClock().trusted():
        raise CheckFailed(
            "the wall clock is before 2026 and not synchronised; set it, or enable time synchronisation"
        )
    if synchronised():
        return "synchronised"
    report = _ask_running(settings, "status")
    for problem in report.get("problems", ()):
        if problem["code"] == Problem.CLOCK.code:
            raise CheckFailed(
                f"{problem['text']}; set it, or enable time synchronisation, then `edge-gateway clock confirm`"
            )
    return f"set, but nothing keeps it synchronised{_why_believed(report.get('clock', {}))}"


def _why_believed(clock: Mapping[str, Any]) -> str:
    """Say how the running gateway judges the clock; empty if none tells."""
    match clock.get("state"):
        case ClockState.AGREED:
            return f"; {ClockState.AGREED}: {counted(clock['agree'], 'device')} said the same time"
        case ClockState.CONFIRMED:
            return f"; {ClockState.CONFIRMED}: by the operator or the kernel, and not set since"
        case ClockState.PLAUSIBLE:
            return f"; {ClockState.PLAUSIBLE}: nothing speaks against it"
    return ""


def _ask_running(settings: GatewayConfig, what: str) -> dict[str, Any]:
    """Return an answer of the gateway that runs on the spool; empty if there is none, or it does not answer."""
    try:
        report = asyncio.run(local_socket.call(settings.spool.path / spool.SOCKET, {"do": what}))
    except (OSError, TimeoutError, local_socket.RequestFailed):
        return {}
    return report if isinstance(report, dict) else {}


def _spool(settings: GatewayConfig) -> str:
    place = _existing(settings.spool.path)
    if not os.access(place, os.R_OK | os.X_OK, effective_ids=True):
        _require_writable(settings.spool.path)
    free, held = shutil.disk_usage(place).free, _held_bytes(settings.spool.path)
    budgets = {"spool": settings.spool, "history": settings.history, "influx": settings.influx}
    bounds = {f"{name}.max_bytes": section.max_bytes for name, section in budgets.items() if section}
    needed = sum(bounds.values()) + RESERVE
    if free + held < needed:
        raise CheckFailed(
            f"{free >> 20} MiB free at {place}, but {', '.join(bounds)} and a reserve add up to {needed >> 20} MiB, of"
            f" which the spool holds {held >> 20} MiB now: free space, or lower them"
        )
    _require_writable(settings.spool.path)
    where = settings.spool.path.absolute()
    return f"{free >> 30} GiB free for {where}{'' if place == where else ', which the first start makes'}"


def _owners(settings: GatewayConfig) -> str:
    """Check that everything in the spool belongs to its owner: who ran a command as root left files there."""
    place = settings.spool.path
    if not place.is_dir():
        return "there is no spool yet"
    owner = spool_owner.name_of(place)
    try:
        found = list(spool_owner.of_others(place))
    except PermissionError as error:
        raise NotChecked(_left_to(owner, "the files in it", place)) from error
    if found:
        named = _listed([f"{path} ({spool_owner.name_of(path)})" for path in found])
        raise CheckFailed(
            f"the spool belongs to {owner}, but not all in it: {named}; the gateway may not read or write them. Run"
            f" `{spool_owner.give_back(place)}`, and commands as that user: `{spool_owner.as_owner(owner, '…')}`"
        )
    return f"everything in {place.absolute()} belongs to {owner}"


def _require_writable(path: Path) -> None:
    """Raise CheckFailed if a spool, or the directory it will be made in, cannot be written.

    NotChecked where it is another user's: that this one may not write to it says nothing of the gateway.
    """
    place = _existing(path)
    if spool_owner.may_write(place):
        return
    if owner := spool_owner.other_owner(path):
        raise NotChecked(_left_to(owner, "writing", path))
    raise CheckFailed(
        f"{place} is not writable by this user: change its owner, or run this as the gateway's user"
    )


def _left_to(owner: str, what: str, place: Path) -> str:
    """Return who checks `what` of a spool that belongs to another user."""
    return f"{place.absolute()} belongs to {owner}; the same command after `{spool_owner.become(owner)}` checks {what}"


def left_to_owner(check: str, what: str, place: Path) -> CheckResult | None:
    """Return the result of a check that only the spool's owner can make; None if this user owns it."""
    owner = spool_owner.other_owner(place)
    if not owner:
        return None
    return CheckResult(check, ok=True, detail=_left_to(owner, what, place), gravity=Gravity.NOTICE)


def _held_bytes(path: Path) -> int:
    """Return the size of all files in a spool; those of a running gateway may be gone in the next moment."""
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                total += Path(directory, name).stat(follow_symlinks=False).st_size
    return total


def _existing(path: Path) -> Path:
    return next(place for place in (path.absolute(), *path.absolute().parents) if place.is_dir())


def _sync(settings: GatewayConfig) -> str:
    """Time appends with fdatasync, as the journal makes them."""
    _require_writable(settings.spool.path)
    place = _existing(settings.spool.path)
    try:
        times = sorted(_sync_times(place))
    except OSError as error:
        raise CheckFailed(f"cannot write to {place}: {plain_text(error)}") from error
    median, p99 = times[SYNCS // 2], times[SYNCS * 99 // 100 - 1]
    commits = 1000 / settings.spool.commit_interval
    daily, each = (
        count * 86_400 / 1e9 for count in (commits * COMMIT_BYTES + SECOND_BYTES, 1000 * READING_BYTES)
    )
    text = (
        f"median {median:.1f} ms, p99 {p99:.1f} ms of {SYNCS}; commits write at most {daily:.1f} GB a day, "
        f"and every 1,000 readings/s add about {each:.0f} GB"
    )
    if median > SLOW_SYNC_MS:
        raise CheckFailed(f"slow: {text}; use faster storage, or a longer spool.commit_interval")
    return text


def _sync_times(place: Path) -> Iterator[float]:
    with tempfile.TemporaryFile(dir=place) as file:
        for _ in range(SYNCS):
            started = time.perf_counter()
            file.write(b"\0" * 9_000)
            file.flush()
            os.fdatasync(file.fileno())
            yield (time.perf_counter() - started) * 1000


def _secrets(settings: GatewayConfig) -> str:
    read_secrets(settings)
    return "readable"


def _rules(settings: GatewayConfig) -> str:
    rules = read_rules(settings.rules, settings.gateway.time_zones, inventory=settings.inventory)
    found = counted(len(rules.rules), "rule")
    return no_folder(settings.rules) or f"{found}, good"


def _broker(settings: GatewayConfig) -> str:
    return asyncio.run(_connect(settings))


async def _connect(settings: GatewayConfig) -> str:
    mine = gateway_id.client_id("doctor", str(os.getpid()))
    options = session_options(settings.mqtt, Credentials(settings), client_id=mine, session_expiry=0)
    options = replace(options, needs_retained=True)
    session = Session(options, on_publish=lambda *_: None)
    try:
        connected = await session.connect()
    except (ConnectRefused, ConnectionLost) as error:
        raise CheckFailed(lost_text(error, options, accepted=False)) from error
    await session.disconnect()
    most = connected.server_receive_maximum
    return f"{settings.mqtt.url} accepts the gateway, and {most} of its messages at once (Receive Maximum)"


def _influx(settings: GatewayConfig) -> str:
    if settings.influx is None:
        return "not configured: history only"
    return asyncio.run(_ask_influx(settings.influx, [window.bucket for window in settings.windows]))


async def _ask_influx(influx: InfluxSection, buckets: Sequence[str]) -> str:
    """Check that each bucket exists and the token may write to it."""
    async with InfluxWriter(influx.url, influx.org, influx.token.read, timeout=PATIENCE) as writer:
        faults = await faults_of_writing(writer, buckets)
    if faults:
        raise CheckFailed(f"{influx.url}: {'; '.join(faults)}")
    return f"{influx.url} accepts writes to {', '.join(map(printable, buckets))}"
