"""Recovers a spool as a start of the gateway does, and ends.

`python -m fleet_proof.recover_once CONFIG GATEWAY SPOOL`
"""

from __future__ import annotations

import sys
from pathlib import Path

from edge_gateway.clock import MachineClock
from edge_gateway.config_source import load_config
from edge_gateway.recovered import recover_spool
from edge_gateway.spool import held


def main(config: str, gateway: str, spool: str) -> None:
    """Recover, and leave what is on the disk as it is then: no store is closed."""
    with held(Path(spool)) as place:
        recover_spool(place, load_config(Path(config), environment={}).config, gateway, MachineClock())


if __name__ == "__main__":
    main(*sys.argv[1:])
