"""Recover a spool as the gateway does at its start, and exit.

`python -m tests.proofs.power.recover_once CONFIG GATEWAY SPOOL`
"""

from __future__ import annotations

import sys
from pathlib import Path

from edge_gateway.configuration.loading import load_config
from edge_gateway.journal.spool import held
from edge_gateway.recovery.startup import recover_spool
from edge_gateway.status.clock import MachineClock


def main(config: str, gateway: str, spool: str) -> None:
    """Recover, and exit without closing the store, so that the disk stays as recovery left it."""
    with held(Path(spool)) as place:
        recover_spool(place, load_config(Path(config), environment={}).config, gateway, MachineClock())


if __name__ == "__main__":
    main(*sys.argv[1:])
