"""`edge-gateway spool`: what lies on a stopped gateway's disk, checked, exported, and put back."""

import base64
import errno
import json
import os
import pwd
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_gateway.cli import main
from edge_gateway.cli.doctor import _check_stored
from edge_gateway.configuration.loading import load_config
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fold.pipeline import FOLD
from edge_gateway.journal import spool
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Moment
from edge_gateway.recovery import record
from edge_gateway.recovery.record import record_tree
from edge_gateway.recovery.startup import recover_spool
from edge_gateway.status.clock import MachineClock
from edge_gateway.status.problem import Gravity
from fleet_console.version import VERSION
from fleet_wire.telemetry import encode_telemetry
from tests.other_users import AS_ROOT, NOBODY, SOMEBODY, acting_as, open_to_all

T0 = 1_750_000_000_000
DEVICES = 5


class Place:
    """A configuration, and a spool that a gateway left."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file = directory / "gateway.yaml"
        self.spool = directory / "spool"
        self._capsys = capsys
        self.configure(devices=3)

    def configure(self, **limits: int) -> None:
        self.file.write_text(
            yaml.safe_dump(
                {
                    "version": 1,
                    "gateway": {"id": "gw"},
                    "mqtt": {"url": "mqtt://localhost:1"},
                    "spool": {"path": str(self.spool)},
                    "limits": limits,
                }
            )
        )

    @property
    def config(self) -> GatewayConfig:
        return load_config(self.file, environment={}).config

    def take_in(self) -> None:
        """Fold telemetry of five devices, and one message that is none, where three are allowed."""
        recovered = recover_spool(self.spool, self.config, "gw", MachineClock())
        topics = [f"fleet/v1/s/d{number}/telemetry" for number in range(DEVICES)] * 2
        payloads = [
            encode_telemetry(boot=1, seq=seq, ts=T0 + seq, m={"t": 20.0 + number})
            for seq in range(2)
            for number in range(DEVICES)
        ]
        batch = Batch(Moment(T0, 0), [*topics, "fleet/v1/s/d0/telemetry"], [*payloads, b"\xc1"])
        made = recovered.state.pipeline.fold(batch)
        effects = made.for_store(recovered.names)
        recovered.journal.append(1, codec.encode(record_tree([batch], [made.closings], [effects])))
        recovered.journal.sync()
        recovered.store.apply([(1, [effects])])
        recovered.journal.close()
        recovered.store.close()

    def run(self, *arguments: str, status: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["spool", *arguments, "--config", str(self.file)])
        told = self._capsys.readouterr()
        assert (ended.value.code or 0) == status, told
        return told.out + told.err

    def files(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.spool.rglob("*") if path.is_file()}

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    def export(self, part: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run("export", part).splitlines()]


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    one = Place(tmp_path, capsys)
    one.take_in()
    return one


def test_inspect_tells_what_is_there(place: Place) -> None:
    facts = place.json("inspect")
    assert (facts["journal"]["records"], facts["journal"]["last"]) == (1, 1)
    assert facts["store"]["applied"] == 1
    assert facts["store"]["rows"]["quarantine"] == 5
    assert facts["set_aside"] == []
    assert "set aside" in place.run("inspect")


def store_as_killed(place: Place) -> None:
    """Leave the store's file as a killed gateway does: what it wrote last is in the log beside it only."""
    store = place.spool / "store.sqlite"
    writing = sqlite3.connect(store, isolation_level=None)
    writing.execute("PRAGMA wal_autocheckpoint=0")
    writing.execute(
        "INSERT INTO quarantine(at, topic, reason, payload) SELECT at, 'last', reason, payload FROM quarantine LIMIT 1"
    )
    killed = {path: path.read_bytes() for path in place.spool.glob("store.sqlite*")}
    assert len(killed) == 3
    writing.close()
    for path, data in killed.items():
        path.write_bytes(data)


@pytest.mark.parametrize("killed", [False, True])
def test_looking_at_a_sound_spool_finds_all_of_it_and_changes_nothing(place: Place, killed: bool) -> None:
    (place.spool / spool.LOCK).touch()  # as the gateway left it
    if killed:
        store_as_killed(place)
    before = place.files()
    findings = place.json("verify")
    assert all(finding["ok"] for finding in findings)
    assert place.json("inspect")["store"]["rows"]["quarantine"] == 5 + killed
    for part in ("messages", "quarantine", "outbox"):
        place.export(part)
    assert _check_stored(place.spool).ok
    assert place.files() == before


def test_a_log_without_its_index_is_read_too(place: Place) -> None:
    """As in a copy of a spool; SQLite makes the index anew."""
    store_as_killed(place)
    (place.spool / "store.sqlite-shm").unlink()
    assert place.json("inspect")["store"]["rows"]["quarantine"] == 6


@pytest.mark.parametrize("command", [["spool", "replay-quarantine"], ["run"]])
def test_records_that_only_another_version_can_fold_are_refused_and_left(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    monkeypatch.setattr(record, "FOLD", FOLD + 1)
    (place.spool / spool.LOCK).touch()  # as the gateway left it
    monkeypatch.setattr("edge_gateway.status.logs.set_up_logs", lambda *_: None)
    monkeypatch.setattr("edge_gateway.service.malloc.return_free_memory", lambda: None)
    before = place.files()
    with pytest.raises(SystemExit) as ended:
        main([*command, "--config", str(place.file)])
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert f"start version {VERSION} once and stop it, then start this one; nothing was changed" in told
    assert "Traceback" not in told
    assert place.files() == before
    assert all(finding["ok"] for finding in place.json("verify")), "the spool is sound, and can be looked at"
    asked = _check_stored(place.spool)
    assert not asked.ok
    assert f"start version {VERSION} once" in asked.detail, "who asks the doctor before a start is told"


@pytest.mark.parametrize("part", ["journal", "checkpoints", "store"])
def test_verify_finds_what_is_damaged(place: Place, part: str) -> None:
    where = {"journal": "*.journal", "checkpoints": "checkpoint-*", "store": "store.sqlite"}[part]
    (path,) = place.spool.rglob(where)
    data = bytearray(path.read_bytes())
    start = len(data) // 2
    data[start : start + 40_000] = bytes(len(data[start : start + 40_000]))
    path.write_bytes(data)
    told = place.run("verify", status=1)
    assert "WRONG" in told


def test_a_query_says_how_many_windows_it_left_out(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(place.spool / "store.sqlite") as db:
        db.execute("INSERT INTO series(device, metric, site, type, tags) VALUES('d', 't', 's', 'x', '{}')")
        db.execute("INSERT INTO window VALUES(0, 0, (SELECT MAX(id) FROM series), 0, X'00')")
    db.close()
    with pytest.raises(SystemExit) as ended:
        main(["query", "windows", "--json", "--config", str(place.file)])
    told = capsys.readouterr()
    assert (ended.value.code or 0, told.out) == (0, "")
    assert "1 window skipped (checksum mismatch)" in told.err
    assert "store window" in place.run("verify", status=1)


def test_messages_and_quarantine_are_exported_as_they_came(place: Place) -> None:
    messages = place.export("messages")
    assert len(messages) == 2 * DEVICES + 1
    assert base64.b64decode(messages[-1]["payload"]) == b"\xc1"
    assert {row["topic"] for row in place.export("quarantine") if row["reason"] == "too_many_devices"} == {
        "fleet/v1/s/d3/telemetry",
        "fleet/v1/s/d4/telemetry",
    }


def test_quarantine_is_replayed_once_limits_are_raised_and_what_is_bad_stays(place: Place) -> None:
    first = place.json("replay-quarantine")
    assert (first["tried"], first["taken"], first["still_bad"]) == (5, 0, 5)
    place.configure(devices=100)
    second = place.json("replay-quarantine")
    assert (second["tried"], second["taken"], second["still_bad"]) == (5, 4, 1)
    third = place.json("replay-quarantine")
    assert (third["tried"], third["taken"], third["still_bad"]) == (1, 0, 1)
    recovered = recover_spool(place.spool, place.config, "gw", MachineClock())
    totals = recovered.state.pipeline.admission.accounting.totals()
    assert (totals["new"], totals["accepted"]) == (2 * DEVICES, 2 * DEVICES)
    assert totals["received"] == sum(
        totals[name] for name in ("new", "duplicate", "not_known", "quarantined")
    )
    recovered.store.close()


def test_values_beyond_a_limit_are_lost_alone_and_nothing_of_theirs_waits_in_quarantine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Place(tmp_path, capsys)
    one.configure(devices=100, series=2)
    one.take_in()
    assert [row["reason"] for row in one.export("quarantine")] != []
    assert one.json("replay-quarantine")["tried"] == 1
    recovered = recover_spool(one.spool, one.config, "gw", MachineClock())
    totals = recovered.state.pipeline.admission.accounting.totals()
    assert (totals["new"], totals["values"]) == (2 * DEVICES, 2 * DEVICES)
    assert (totals["accepted"], totals["bad"]) == (4, 2 * DEVICES - 4)
    recovered.store.close()


COMMANDS = [["inspect"], ["verify"], ["export", "messages"], ["replay-quarantine"]]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_directory_without_a_spool_is_told_and_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    one = Place(tmp_path, capsys)
    one.spool.mkdir()
    (one.spool / "holiday.jpg").touch()
    assert "there is no spool" in one.run(*command, status=2)
    assert [path.name for path in one.spool.iterdir()] == ["holiday.jpg"]


def test_a_replay_tells_what_it_finds_damaged(place: Place) -> None:
    """Else an empty quarantine would look as if there had been nothing in it."""
    place.spool.joinpath("store.sqlite").write_bytes(b"x" * 8_192)
    told = place.run("replay-quarantine")
    assert "store.sqlite.corrupt-" in told
    assert "tried" in told


def test_a_replay_that_cannot_write_says_why_and_that_a_second_run_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.configure(devices=100)
    with monkeypatch.context() as patch:
        patch.setattr("edge_gateway.recovery.quarantine_replay.write_checkpoint", full_disk)
        told = place.run("replay-quarantine", status=2)
    assert "No space left on device" in told
    assert "run it again" in told
    assert place.json("replay-quarantine")["taken"] == 0, "they count already"
    recovered = recover_spool(place.spool, place.config, "gw", MachineClock())
    assert recovered.state.pipeline.admission.accounting.totals()["new"] == 2 * DEVICES
    recovered.store.close()


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("command", COMMANDS)
def test_while_the_gateway_runs_the_commands_say_so(place: Place, command: list[str]) -> None:
    with spool.held(place.spool):
        assert "the gateway is running and holds the spool" in place.run(*command, status=2)


def test_without_a_spool_there_is_nothing_to_see(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = Place(tmp_path, capsys)
    assert "there is no spool" in one.run("inspect", status=2)
    assert not one.spool.exists(), "looking makes none"


def hand_over(place: Place) -> None:
    """Let the spool be nobody's, as that of a gateway with a user of its own, and let every user find it."""
    for path in (place.spool, *place.spool.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    open_to_all(place.spool.parent)


@AS_ROOT
@pytest.mark.parametrize("command", [["spool", "replay-quarantine"], ["run"]])
def test_root_makes_no_files_in_the_spool_of_another_user(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr("edge_gateway.status.logs.set_up_logs", lambda *_: None)
    monkeypatch.setattr("edge_gateway.service.malloc.return_free_memory", lambda: None)
    monkeypatch.setattr("asyncio.run", lambda *_: pytest.fail("the gateway was started"))
    hand_over(place)
    before = place.files()
    with pytest.raises(SystemExit) as ended:
        main([*command, "--config", str(place.file)])
    owner = pwd.getpwuid(NOBODY).pw_name
    assert ended.value.code == 2
    said = (
        f"belongs to the user {owner}: run `sudo -u {owner} edge-gateway {' '.join(command)} -c {place.file}`"
    )
    assert f"the spool {place.spool} {said}" in " ".join(capsys.readouterr().err.split())
    assert place.files() == before


@AS_ROOT
def test_what_root_looks_at_stays_its_owners(place: Place) -> None:
    hand_over(place)
    for command in ("inspect", "verify"):
        place.run(command)
    assert (place.spool / spool.LOCK).exists()
    assert {path.stat().st_uid for path in place.spool.rglob("*")} == {NOBODY}


@AS_ROOT
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_another_user_is_sent_to_the_owner(place: Place, command: list[str], mode: int) -> None:
    hand_over(place)
    place.spool.chmod(mode)
    with acting_as(SOMEBODY):
        said = " ".join(place.run(*command, status=2).split())
    asked = f"edge-gateway spool {' '.join(command)} -c {place.file}"
    assert f"run `sudo -u {pwd.getpwuid(NOBODY).pw_name} {asked}`" in said
    assert "spool.path" not in said


@AS_ROOT
def test_a_doctor_of_another_user_leaves_what_is_stored_to_the_owner(place: Place) -> None:
    (place.spool / spool.LOCK).touch(mode=0o640)
    hand_over(place)
    place.spool.chmod(0o755)
    with acting_as(SOMEBODY):
        stored = _check_stored(place.spool)
    assert (stored.ok, stored.gravity) == (True, Gravity.NOTICE)
    assert "the same command after `sudo -u" in stored.detail
