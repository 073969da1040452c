"""Commands that were sent: which is awaited, and how many are kept that nobody awaits."""

from __future__ import annotations

import pytest

from edge_gateway.fold import sent_commands as module
from edge_gateway.fold.pending_command import PendingCommand
from edge_gateway.fold.sent_commands import MOST_UNANSWERED_A_DEVICE, SentCommands
from tests.gateway.fold.commands import QUIET, pending, transition


def quiet(device: str = "d") -> PendingCommand:
    return pending(transition(device=device, intent=QUIET))


def test_only_a_command_that_wants_an_answer_is_awaited() -> None:
    asked, other, elsewhere = pending(transition(device="d")), quiet(), quiet("e")
    sent = SentCommands([other, elsewhere, asked])
    assert sent.awaited == {"d": asked}
    assert (sent.of("d"), sent.of("e"), sent.of("f")) == ([other, asked], [elsewhere], [])
    assert (len(sent), bool(sent), len(sent.all())) == (3, True, 3)
    assert all(map(sent.has, (asked, other, elsewhere)))
    assert [sent.end(one) for one in (asked, other, elsewhere, other, asked)] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert (len(sent), bool(sent), sent.has(asked)) == (0, False, False)


def test_the_oldest_of_a_device_is_one_too_many() -> None:
    own = [quiet() for _ in range(MOST_UNANSWERED_A_DEVICE + 1)]
    sent = SentCommands(own[:-1])
    assert sent.too_many("d") is None
    sent.add(own[-1])
    assert sent.too_many("d") is own[0]
    assert sent.too_many("e") is None


def test_of_too_many_in_all_the_oldest_of_some_device_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_UNANSWERED", 2)
    sent = SentCommands([quiet("d"), quiet("e")])
    assert sent.too_many("e") is None
    sent.add(quiet("f"))
    assert sent.too_many("f") is sent.of("d")[0]
