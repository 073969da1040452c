"""Lost connections: told once when nobody is left, and counted by reason at the end."""

from types import SimpleNamespace
from typing import Any

from fleet_sim.runtime.losses import Losses

URL = "mqtt://127.0.0.1:1997"


def devices(count: int = 3) -> list[Any]:
    return [SimpleNamespace(index=index, alive=True, online=False) for index in range(count)]


def test_a_loss_is_told_once_when_nobody_is_left_and_once_when_somebody_is_back() -> None:
    losses, told, fleet = Losses(URL), list[str](), devices(2)
    losses.tell(2, told.append)
    losses.lost(fleet[0], 4.04, "the broker closed it")
    losses.tell(1, told.append)
    assert told == []
    losses.lost(fleet[1], 5.0, "the broker closed it")
    for _ in range(3):
        losses.tell(0, told.append)
    [said] = told
    assert said.startswith(
        f"{URL}: 2 devices lost the connection 4.0 s after the start (the broker closed it); "
    )
    losses.back(fleet[0])
    for _ in range(3):
        losses.tell(1, told.append)
    assert told[1:] == [f"{URL} answers again; 1 device connected"]


def test_a_fleet_that_faults_took_off_the_network_has_lost_nothing() -> None:
    told: list[str] = []
    Losses(URL).tell(0, told.append)
    assert told == []


def test_those_that_are_back_switched_off_or_gave_up_do_not_try() -> None:
    losses, fleet = Losses(URL), devices(5)
    for device in fleet[1:]:
        losses.lost(device, 1.0, "gone")
    losses.back(fleet[1])
    fleet[2].alive = False
    fleet[3].online = True
    assert losses.trying(fleet) == [fleet[4]]
    assert losses.trying(fleet, {4}) == []


def test_devices_are_counted_by_why_they_lost_it_and_why_it_stays_lost() -> None:
    losses, fleet = Losses(URL), devices(3)
    for device, since in zip(fleet, (4.0, 2.0, 3.0), strict=True):
        losses.lost(device, since, "closed")
    found = losses.reasons(losses.trying(fleet), {0: "refused", 1: "refused"})
    advice = "check that the broker runs and that this machine reaches it"
    assert found == {
        f"lost 2.0 s after the start (closed), and since then: refused; {advice}": 2,
        f"lost 3.0 s after the start (closed), and since then: the broker has not answered; {advice}": 1,
    }
