"""What this machine allows."""

import pytest

from fleet_sim.devices.endpoint import TooManySockets, reserve_sockets


def test_too_many_sockets_are_said_with_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_what: int, limits: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr("fleet_sim.devices.endpoint.resource.getrlimit", lambda _what: (100, 200))
    monkeypatch.setattr("fleet_sim.devices.endpoint.resource.setrlimit", refuse)
    reserve_sockets(10)
    with pytest.raises(
        TooManySockets, match=r"5000 connections need 5064 open files, the limit is 200; .*ulimit -n 5064"
    ):
        reserve_sockets(5000)
