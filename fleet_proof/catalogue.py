"""All proofs, in the order of the table."""

from __future__ import annotations

from fleet_proof.proof import Proof
from fleet_proof.proofs import (
    backlog,
    broker,
    calm,
    corruption,
    disk,
    hostile,
    influx,
    kills,
    network,
    order,
    power,
    refuse,
    soak,
    storm,
    watchdog,
)

PROOFS: tuple[Proof, ...] = (
    kills.PROOF,
    broker.PROOF,
    influx.PROOF,
    power.PROOF,
    corruption.PROOF,
    disk.PROOF,
    network.PROOF,
    refuse.PROOF,
    order.PROOF,
    calm.PROOF,
    storm.PROOF,
    backlog.PROOF,
    hostile.PROOF,
    watchdog.PROOF,
    soak.PROOF,
)
BY_NAME = {proof.name: proof for proof in PROOFS}
