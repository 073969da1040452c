"""What this machine allows."""

import pytest

from fleet_sim.devices.endpoint import Endpoint, TooManySockets, reserve_sockets, split_url
from fleet_sim.devices.world import Identity


def test_too_many_sockets_are_said_with_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_what: int, limits: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr("fleet_sim.devices.endpoint.resource.getrlimit", lambda _what: (100, 200))
    monkeypatch.setattr("fleet_sim.devices.endpoint.resource.setrlimit", refuse)
    reserve_sockets(10)
    with pytest.raises(
        TooManySockets, match=r"5064 open files are needed.*the limit is 200: .*ulimit -n 5064"
    ):
        reserve_sockets(5000)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("mqtt://broker", ("broker", 1883, False)),
        ("mqtts://broker", ("broker", 8883, True)),
        ("mqtt://[::1]:1884", ("::1", 1884, False)),
        ("mqtt://", ("localhost", 1883, False)),
    ],
)
def test_a_url_has_a_host_a_port_and_says_whether_it_is_tls(url: str, parts: tuple[str, int, bool]) -> None:
    assert split_url(url) == parts


@pytest.mark.parametrize(("host", "url"), [("broker", "mqtt://broker:1883"), ("::1", "mqtt://[::1]:1883")])
def test_an_endpoint_is_shown_as_a_url(host: str, url: str) -> None:
    assert Endpoint(host, 1883).url == url


def test_a_device_has_its_own_user_address_and_will() -> None:
    endpoint = Endpoint("broker", 1883, username="u-{id}", bind=("127.0.0.2", "127.0.0.3"))
    options = endpoint.of_device(Identity("d7", "berlin", "box", {}), 3)
    assert (options.client_id, options.username, options.local_address) == ("d7", "u-d7", "127.0.0.3")
    assert options.will is not None
    assert options.will.topic == "fleet/v1/berlin/d7/status"
    assert not options.clean_start


def test_the_listener_has_a_user_of_its_own_and_no_will() -> None:
    options = Endpoint("broker", 1883, username="u-{id}").of_client("listener")
    assert (options.username, options.will, options.local_address) == ("u-fleet-sim", None, None)
    assert options.clean_start


@pytest.mark.parametrize(("hard", "asked"), [(10_000, (564, 10_000)), (-1, (564, 564))])
def test_the_limit_of_open_files_is_raised_as_far_as_needed(
    hard: int, asked: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[int, int]] = []
    monkeypatch.setattr("fleet_sim.devices.endpoint.resource.getrlimit", lambda _what: (100, hard))
    monkeypatch.setattr(
        "fleet_sim.devices.endpoint.resource.setrlimit", lambda _what, limits: found.append(limits)
    )
    reserve_sockets(500)
    assert found == [asked]
