"""A spool that an earlier or a later program wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.errors import NewerSpool
from edge_gateway.fold.command_queue import PendingCommand
from edge_gateway.fold.messages import alert_on_the_wire, command_message
from edge_gateway.journal import checkpoint, spool
from edge_gateway.journal import framing as frames
from edge_gateway.journal.checkpoint import write_checkpoint
from edge_gateway.journal.segments import Journal
from edge_gateway.records import codec
from edge_gateway.records.alerts import CommandIntent
from edge_gateway.records.inputs import Batch, Moment
from edge_gateway.recovery.checkpoint_upgrades import DAY
from edge_gateway.recovery.startup import Startup, recover_spool
from edge_gateway.recovery.state import State
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.clock import MachineClock
from fleet_wire import control_messages, topics
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.records.transitions import too_warm

START = 1_760_000_000_000
NUMBER = 5


def config() -> GatewayConfig:
    return GatewayConfig.model_validate(
        {
            "mqtt": {"url": "mqtt://localhost"},
            "gateway": {"tags": ["zone"]},
            "windows": [{"every": "10s", "bucket": "a", "keep": "30d"}],
            "limits": {"retire_after": "2h"},
        }
    )


def begin(place: Path) -> Startup:
    return recover_spool(place, config(), "gw", MachineClock())


def fed(place: Path) -> State:
    """A spool with a checkpoint behind one reading; its state."""
    found = begin(place)
    topic = topics.device_topic("berlin", "f1", topics.TELEMETRY)
    given = Batch(Moment(START, 7_000), [topic], [encode_telemetry(1, 0, START, {"t": 1.0})])
    born = control_messages.Birth(
        type="pump", boot=1, next=1, tags={"zone": "z"}, metrics={"t": control_messages.MetricInfo(unit="C")}
    )
    status = topics.device_topic("berlin", "f1", topics.STATUS)
    found.state.pipeline.fold(given)
    found.state.pipeline.fold(Batch(Moment(START, 7_000), [status], [control_messages.encode_birth(born)]))
    fan = CommandIntent("fan", {"speed": 3}, 60_000, 5_000, retries=2)
    commands = found.state.pipeline.commands
    commands.add([too_warm(at=START, commands=(fan,)), too_warm(id="a2", at=START, commands=(fan,))], START)
    commands.advance(START)
    found.state.listening = 7_000
    found.store.apply([(NUMBER, ())])
    found.store.close()
    return found.state


def sixth_format(tree: dict[str, Any]) -> dict[str, Any]:
    tree["format"] = 6
    windows = tree["fold"]["windows"]
    del windows["ever"]
    for tier in (*windows["numbers"], *windows["states"]):
        del tier["again"]
        for emitted in tier["given"]:
            del emitted["again"]
    return tree


def fourth_format(tree: dict[str, Any]) -> dict[str, Any]:
    tree = sixth_format(tree)
    tree["format"] = 4
    sequences, accounting = (tree["fold"]["admission"][name] for name in ("sequences", "accounting"))
    added = ("judged_from", "unsure_to", "untimed", "born", "denied", "forgotten", "contents", "conflicted")
    for name in (*added, "boots_begun_anew"):
        del sequences[name]
    sequences["older"] = sequences["older"][:, :5]
    for name in ("not_known", "values_not_known"):
        del accounting["columns"][name]
    del tree["least"], tree["aged"], tree["fold"]["admission"]["vote"]
    tree["fold"]["complete_from"] = tree["fold"].pop("completeness")["since"]
    return tree


def third_format(tree: dict[str, Any]) -> dict[str, Any]:
    tree = fourth_format(tree)
    tree["format"] = 3
    commands = tree["fold"]["commands"]
    for name in ("waiting", "sent"):
        commands[name] = list(map(flat, msgspec.convert(commands[name], list[PendingCommand])))
    return tree


def flat(pending: PendingCommand) -> dict[str, Any]:
    """A pending command as it was written before: every field of its transition and its intent by itself."""
    alert, intent = pending.alert, pending.intent
    return {
        "id": pending.id,
        "device": alert.subject,
        "site": alert.site,
        "name": intent.name,
        "args": intent.args,
        "level": alert.level,
        "alert": msgspec.to_builtins(alert_on_the_wire(alert)),
        "at": alert.at,
        "expires_at": pending.expires_at,
        "confirm_within": intent.confirm_within_ms,
        "retries": intent.retries,
        "n": pending.n,
        "sent_at": pending.sent_at,
        "attempts": pending.attempts,
        "refusals": pending.refusals,
        "refused": pending.refused,
    }


def second_format(tree: dict[str, Any]) -> dict[str, Any]:
    tree = third_format(tree)
    tree["format"] = 2
    for name in ("device_series", "device_strings", "forwarded", "late_share"):
        del tree["settings"][name]
    fold = tree["fold"]
    registry, sequences = fold["registry"], fold["admission"]["sequences"]
    born = control_messages.Birth(
        type="pump", boot=1, next=1, tags={"zone": "z"}, metrics={"t": control_messages.MetricInfo(unit="C")}
    )
    assert registry["births"]["device"] == [0]
    registry |= {
        "born": np.array([0], np.int64),
        "births": [control_messages.encode_birth(born)],
        "strings": {"texts": registry["strings"]["texts"]},
    }
    lacking: tuple[tuple[dict[str, Any], tuple[str, ...]], ...] = (
        (fold["windows"], ("late_share",)),
        (fold["admission"], ("mostly_bad", "watch")),
        (sequences, ("claimed", "not_believed")),
        (registry, ("swept_at", "forwarded")),
        (registry["tags"], ("refused", "used_up")),
        (registry["series"], ("held", "counted", "anew", "used", "free", "free_metrics", "pinned")),
    )
    for part, names in lacking:
        for name in names:
            del part[name]
    return tree


def first_format(tree: dict[str, Any]) -> dict[str, Any]:
    tree = second_format(tree)
    del tree["format"], tree["settings"]["retire_after"]
    registry = tree["fold"]["registry"]
    del registry["heard"], registry["free"]
    registry["births"] = {
        str(device): birth for device, birth in zip(registry.pop("born"), registry["births"], strict=True)
    }
    tags = registry["tags"]
    facts = zip(tags.pop("site"), tags.pop("name"), tags.pop("type"), tags.pop("tags"), strict=True)
    histories: list[list[Any]] = [[] for _ in registry["name"]]
    for (device, start, version), fact in zip(tags.pop("versions").tolist(), facts, strict=True):
        histories[device].append([start, version, *fact])
    tags["histories"] = histories
    del tree["fold"]["admission"]["sequences"]["gone"]
    return tree


@pytest.mark.parametrize(
    ("number", "as_it_was"),
    [(1, first_format), (2, second_format), (3, third_format), (4, fourth_format), (6, sixth_format)],
)
def test_a_checkpoint_of_an_earlier_format_is_taken_over_whole(
    tmp_path: Path, number: int, as_it_was: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    state = fed(tmp_path)
    with pytest.MonkeyPatch.context() as earlier:
        earlier.setattr(checkpoint, "FORMAT", number)
        write_checkpoint(tmp_path / spool.CHECKPOINTS, NUMBER, as_it_was(state.snapshot()))
    found = begin(tmp_path)
    registry = found.state.pipeline.registry
    assert (found.number, found.findings, found.whole) == (NUMBER, [], True)
    assert found.state.pipeline.retire_after == DAY // 12
    assert registry.silent(7_000, 0).tolist() == []
    assert registry.silent(7_001, 0).tolist() == [0]
    assert registry.tags(0) == {"zone": "z"}
    assert registry.units(0) == {"t": "C"}
    pending = found.state.pipeline.commands.unconfirmed()
    assert list(map(command_message, pending)) == list(
        map(command_message, state.pipeline.commands.unconfirmed())
    )
    for part in ("registry", "admission", "windows"):
        again, before = (getattr(one.pipeline, part).snapshot() for one in (found.state, state))
        for one in (again, before):
            one.get("tags", {}).pop("used_up", None)
            one.pop("watch", None)
            one.pop("ever", None)
            for guessed in ("untimed", "born"):
                one.get("sequences", {}).pop(guessed, None)
        assert codec.pack(again) == codec.pack(before)
    found.store.close()


def test_a_checkpoint_that_lacks_more_is_set_aside(tmp_path: Path) -> None:
    state = fed(tmp_path)
    tree = state.snapshot()
    del tree["fold"]["windows"]
    write_checkpoint(tmp_path / spool.CHECKPOINTS, NUMBER, tree)
    found = begin(tmp_path)
    assert Problem.CHECKPOINT_CORRUPT in dict(found.findings)
    assert not found.whole
    assert list((tmp_path / spool.CHECKPOINTS).glob("*.corrupt-*"))
    found.store.close()


def test_a_newer_checkpoint_is_refused(tmp_path: Path) -> None:
    state = fed(tmp_path)
    with pytest.MonkeyPatch.context() as later:
        later.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + 1)
        write_checkpoint(tmp_path / spool.CHECKPOINTS, NUMBER, state.snapshot())
    refused(tmp_path, f"checkpoint-{NUMBER:020d}")


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    fed(tmp_path)
    with pytest.MonkeyPatch.context() as later:
        later.setattr(frames, "MAGIC", b"EGJ\x02")
        journal = Journal.open(tmp_path / spool.JOURNAL)
        journal.append(1, b"whatever")
        journal.sync()
    refused(tmp_path, r"\.journal")


def refused(place: Path, name: str) -> None:
    """Every start is refused by a text that names the file, and leaves everything where it is."""
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    for _ in range(3):
        with pytest.raises(NewerSpool, match=name):
            begin(place)
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
