"""The broker's ACL refuses what the gateway publishes for a while: commands, alerts or its status.

Mosquitto answers such a publish with PUBACK 0x87 and drops it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fleet_sim.ledger.reading import Ledger
from tests.proofs.ground.field import stored
from tests.proofs.proof import Setting
from tests.proofs.refuse.trial import (
    WITHIN,
    honest_fleet,
    judge_fleet,
    make_gateway,
    must_clear,
    must_report,
    wait_accepted,
)

ALWAYS: Final = """\
topic readwrite fleet/v1/#
user gateway
topic read fleet/v1/#
topic read edge/v1/#
topic write fleet/v1/+/+/receipt
topic write edge/v1/+/reply
topic write edge/v1/+/echo
"""
GRANTS: Final = {
    "command": "topic write fleet/v1/+/+/command",
    "alerts": "topic write edge/v1/+/alerts/#",
    "status": "topic write edge/v1/+/status",
}
WORDS: Final = ("authorised", "acl")
DONE: Final = "done"


def run(setting: Setting, name: str) -> None:
    """Revoke one right while the fleet sends, and grant it again."""
    refused = setting.rng.choice(list(GRANTS))
    rights = setting.directory / f"{name}.acl"
    write_acl(rights)
    broker = setting.broker(f"acl_file {rights}")
    gateway = make_gateway(setting, broker, name, mqtt={"url": broker.url, "user": "gateway"})
    gateway.start()
    with honest_fleet(setting, broker, f"{name}-site") as fleet:
        wait_accepted(gateway)
        write_acl(rights, but=refused)
        broker.reload()
        must_report(setting, gateway, f"the ACL refuses {refused}", *WORDS)
        wait_accepted(gateway)
        write_acl(rights)
        broker.reload()
        must_clear(setting, gateway, f"the ACL allows {refused} again", *WORDS)
        wait_accepted(gateway)
    judge_fleet(setting, gateway, fleet.ledger)
    gateway.wait_for(lambda report: not report["commands"]["pending"] and stored(report), within=WITHIN)
    judge_done(setting, gateway.query("commands"), fleet.ledger)
    setting.findings.faults[f"ACL refuses {refused}"] += 1
    gateway.kill()


def write_acl(rights: Path, but: str = "") -> None:
    lines = [line for what, line in GRANTS.items() if what != but]
    rights.write_text(ALWAYS + "\n".join(lines) + "\n")
    rights.chmod(0o644)


def judge_done(setting: Setting, rows: list[dict[str, Any]], ledger: Ledger) -> None:
    """Check that commands reported as done were executed, and none reported as refused was."""
    executed = {row["id"] for row in ledger.of_kind("executed") if row["outcome"] == DONE}
    for row in rows:
        if row["state"] == DONE and row["id"] not in executed:
            setting.findings.forbid("done and not executed", f"{row}")
        if row["state"] == "sent":
            setting.findings.forbid("silent", f"a command that stays sent: {row}")
