"""A client with one device's password asks for the client ids of the gateway and of other devices, again and again.

The broker has the shipped field configuration. If a client got the gateway's id, it would end the gateway's connection,
and with a clean start the broker would forget everything it had queued for the gateway.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from fleet_sim.devices.endpoint import LISTENER, Endpoint
from tests.proofs.proof import Setting
from tests.proofs.refuse.trial import DEVICES, honest_fleet, judge_fleet, make_gateway, wait_accepted
from tests.servers import field_broker
from tests.servers.field_broker import PASSWORD, FieldBroker

THIEF: Final = "stealing_client"
ACCEPTED: Final = 0


def run(setting: Setting, name: str) -> None:
    """Try to steal client ids while the gateway runs, while it is away, and while it comes back."""
    site = f"{name}-site"
    devices = [f"{site}-{number:04d}" for number in range(DEVICES)]
    place = setting.place("field")
    place.mkdir(parents=True)
    broker = FieldBroker(place, (THIEF, LISTENER, *devices))
    setting.later(broker.process.kill)
    gateway = make_gateway(setting, "mqtt://unused", name, mqtt=broker.gateway_section)
    gateway.start()
    endpoint = Endpoint(
        "localhost",
        broker.ports[field_broker.DEVICES],
        username="{id}",
        password=PASSWORD.encode(),
        tls=broker.tls(),
    )
    wanted_ids = [f"edge:{name}", f"edge:{name}:control", *setting.rng.sample(devices, 3)]
    with honest_fleet(setting, endpoint, site) as fleet:
        wait_accepted(gateway)
        with stealing_client(setting, broker, wanted_ids):
            wait_accepted(gateway)
            gateway.kill()
            fleet.wait_acked(4 * DEVICES)
            gateway.start()
            wait_accepted(gateway)
    report = judge_fleet(setting, gateway, fleet.ledger)
    for counter in ("broker_sessions_lost", "taken_over"):
        if report["counters"].get(counter):
            setting.findings.forbid("session taken", f"{counter} {report['counters'][counter]}")
    setting.findings.faults["client ids wanted_ids"] += 1
    gateway.kill()


@contextmanager
def stealing_client(setting: Setting, broker: FieldBroker, wanted_ids: list[str]) -> Iterator[None]:
    """Try every client id on both listeners while the block runs, at least once."""
    over, once = threading.Event(), threading.Event()
    refused: list[str] = []

    def work() -> None:
        while not over.is_set() or not once.is_set():
            for one in wanted_ids:
                answer = broker.answer(THIEF, one)
                if answer[3:4] != bytes([ACCEPTED]):
                    refused.append(f"as {one} on the devices' listener: {answer.hex()}")
                if broker.answer(THIEF, one, port=field_broker.GATEWAYS):
                    setting.findings.forbid("accepted on the gateway's listener", one)
            once.set()

    thread = threading.Thread(target=work, name=THIEF)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if refused:
        setting.findings.forbid("the thief was not let in as itself", refused[0])
