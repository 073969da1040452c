"""All proofs, in the order of the table."""

from __future__ import annotations

from tests.proofs import backlog, broker, calm, influx, network, rules, soak, storm, watchdog
from tests.proofs.clock import proof as clock
from tests.proofs.corruption import proof as corruption
from tests.proofs.disk import proof as disk
from tests.proofs.domains import proof as domains
from tests.proofs.edits import proof as edits
from tests.proofs.forget import proof as forget
from tests.proofs.hostile import proof as hostile
from tests.proofs.kills import proof as kills
from tests.proofs.order import proof as order
from tests.proofs.power import proof as power
from tests.proofs.proof import Proof
from tests.proofs.refuse import proof as refuse

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
    forget.PROOF,
    rules.PROOF,
    edits.PROOF,
    domains.PROOF,
    clock.PROOF,
    calm.PROOF,
    storm.PROOF,
    backlog.PROOF,
    hostile.PROOF,
    watchdog.PROOF,
    soak.PROOF,
)
BY_NAME = {proof.name: proof for proof in PROOFS}
