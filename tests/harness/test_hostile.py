"""The pair: hostile messages are counted once, and it sees where they are not."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from edge_gateway.fleet.admission import Admission
from edge_gateway.fleet.decoders import native
from edge_gateway.fold.effects import Effects
from tests.proofs.hostile.fuzz import Fuzz, Hostile
from tests.proofs.hostile.fuzz_bytes import is_a_map
from tests.proofs.hostile.inside import PairedGateways, must_be_quarantined
from tests.proofs.hostile.lines import tag_as_sent
from tests.proofs.proof import Findings

NOW = 1_760_000_000_000
TOPIC = "fleet/v1/s/d/telemetry"


@pytest.fixture
def findings() -> Findings:
    return Findings()


def attack(place: Path, findings: Findings, count: int = 1_000) -> None:
    pair = PairedGateways(place, random.Random(3), findings)
    if pair.chunk(count):
        pair.restart()
        pair.judge_bounds()
        pair.judge_good()
        pair.judge_store()
    pair.close()


def test_a_seed_gives_the_same_messages_of_every_kind() -> None:
    one, other = (Fuzz(random.Random(5), "s") for _ in range(2))
    made = [one.message(NOW) for _ in range(5_000)]
    assert made == [other.message(NOW) for _ in range(5_000)]
    assert {"odd values", "mutated", "noise", "deep", "topic", "birth", "ack", "clock"} <= {
        it.kind for it in made
    }
    assert Fuzz(random.Random(6), "s").message(NOW) != made[0]


def test_hostile_messages_change_nothing_for_good_devices_and_are_counted(
    tmp_path: Path, findings: Findings
) -> None:
    attack(tmp_path, findings)
    assert findings.ok, findings.examples
    assert findings.windows > 0


def test_the_hostile_proof_notices_an_exception(
    tmp_path: Path, findings: Findings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "_take_each", lambda *_: 1 / 0)
    attack(tmp_path, findings, 100)
    assert findings.forbidden["exception"] == 1


def test_the_hostile_proof_notices_a_message_quarantined_twice_or_not_at_all(
    tmp_path: Path, findings: Findings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = Effects.quarantine

    def twice(self: Effects, *message: Any) -> None:
        keep(self, *message)
        keep(self, *message)

    monkeypatch.setattr(Effects, "quarantine", twice)
    attack(tmp_path / "twice", findings, 100)
    monkeypatch.setattr(Effects, "quarantine", lambda *_: None)
    attack(tmp_path / "never", findings, 100)
    assert {"not what was sent", "let in", "miscounted"} <= findings.forbidden.keys()


def test_the_hostile_proof_notices_a_wrong_counter(
    tmp_path: Path, findings: Findings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Admission, "_count_values", lambda *_: None)
    attack(tmp_path, findings, 100)
    assert not findings.ok


def test_an_independent_msgpack_reader_recognises_what_is_not_a_map() -> None:
    assert is_a_map(b"\x80")
    assert is_a_map(b"\x80\x00") is False
    assert is_a_map(b"\x90") is False
    assert is_a_map(b"\x81\x80\x00") is None
    assert must_be_quarantined(Hostile(TOPIC, b"\xc1", ""))
    assert not must_be_quarantined(Hostile(TOPIC, b"\x80", ""))
    assert must_be_quarantined(Hostile(TOPIC + "/", b"\x80", ""))
    assert not must_be_quarantined(Hostile("fleet/v1/s/d/status", b"", ""))


def test_values_that_line_protocol_cannot_hold_are_recognised() -> None:
    assert [tag_as_sent(text) for text in ("a\nb", "a\\", "a,b")] == ["a\\nb", "a\\_", "a,b"]
