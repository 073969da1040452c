"""All proofs, in the order of the table."""

from __future__ import annotations

from fleet_proof.proof import Proof
from fleet_proof.proofs import backlog, kills, soak, storm

PROOFS: tuple[Proof, ...] = (kills.PROOF, storm.PROOF, backlog.PROOF, soak.PROOF)
BY_NAME = {proof.name: proof for proof in PROOFS}
