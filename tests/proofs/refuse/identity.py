"""Whoever has one device's password asks for the client ids of the gateway and of other devices, over and over.

The broker has the configuration of the field. A client that takes another's id ends its connection, and with a clean
start the broker forgets what it had queued for it: of the gateway that is everything since it went away.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from edge_gateway.configuration.gateway_id import client_id
from fleet_sim.devices.endpoint import LISTENER, Endpoint
from tests.proofs.proof import Setting
from tests.proofs.refuse.trial import DEVICES, gateway_of, honest_fleet, judge_fleet, taken_more
from tests.servers import field_broker
from tests.servers.field_broker import PASSWORD, FieldBroker

THIEF: Final = "thief"
LET_IN: Final = 0


def run(setting: Setting, name: str) -> None:
    """Let a thief be at work while the gateway is at work, while it is away, and while it comes back."""
    site = f"{name}-site"
    devices = [f"{site}-{number:04d}" for number in range(DEVICES)]
    place = setting.place("field")
    place.mkdir(parents=True)
    broker = FieldBroker(place, (THIEF, LISTENER, *devices))
    setting.later(broker.process.kill)
    gateway = gateway_of(setting, "mqtt://unused", name, mqtt=broker.gateway_section)
    gateway.start()
    endpoint = Endpoint(
        "localhost",
        broker.ports[field_broker.DEVICES],
        username="{id}",
        password=PASSWORD.encode(),
        tls=broker.tls(),
    )
    sought = [client_id(name), client_id(name, "control"), *setting.rng.sample(devices, 3)]
    with honest_fleet(setting, endpoint, site) as fleet:
        taken_more(gateway)
        with thief(setting, broker, sought):
            taken_more(gateway)
            gateway.kill()
            fleet.wait_acked(4 * DEVICES)
            gateway.start()
            taken_more(gateway)
    report = judge_fleet(setting, gateway, fleet.ledger)
    for counter in ("broker_sessions_lost", "taken_over"):
        if report["counters"].get(counter):
            setting.tally.forbid("session taken", f"{counter} {report['counters'][counter]}")
    setting.tally.faults["client ids sought"] += 1
    gateway.kill()


@contextmanager
def thief(setting: Setting, broker: FieldBroker, sought: list[str]) -> Iterator[None]:
    """One who tries every client id at both doors while the block runs, once at least."""
    over, once = threading.Event(), threading.Event()
    refused: list[str] = []

    def work() -> None:
        while not over.is_set() or not once.is_set():
            for one in sought:
                answer = broker.answer(THIEF, one)
                if answer[3:4] != bytes([LET_IN]):
                    refused.append(f"as {one} at the devices' door: {answer.hex()}")
                if broker.answer(THIEF, one, port=field_broker.GATEWAYS):
                    setting.tally.forbid("let in at the gateway's door", one)
            once.set()

    thread = threading.Thread(target=work, name=THIEF)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if refused:
        setting.tally.forbid("thief not at work", refused[0])
