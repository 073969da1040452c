"""Others refuse, take away, steal or use up what the gateway needs: nothing is lost, and the gateway reports it.

Broken, each kind `count` times, while an honest fleet sends:

    acl         the broker refuses commands, alerts or the status, and allows them again
    packets     the broker accepts only small packets
    sites       a site is given to another gateway, with messages still queued for the first
    rotation    the broker's password and the database's token are replaced
    identity    a client with one device's password asks for the client ids of the gateway and of other devices
    crowding    one device fills the tables of series and texts
    idlers      somebody opens every connection there is and sends nothing

Compared with the fleet's ledger: every window, alert and command; and the gateway's problems with what was done.

Failures: anything lost, double or wrong; a trouble that no problem names, or a problem that stays after it is over; a
command reported as done that no device executed; a session taken over; a gateway that does not stop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tests.proofs.proof import Proof, Setting
from tests.proofs.refuse import acl, crowding, identity, idlers, packets, rotation, sites

TRIALS: Final[Mapping[str, Callable[[Setting, str], None]]] = {
    "acl": acl.run,
    "packets": packets.run,
    "sites": sites.run,
    "rotation": rotation.run,
    "identity": identity.run,
    "crowding": crowding.run,
    "idlers": idlers.run,
}


def run(setting: Setting) -> None:
    """Run each kind of trial `count` times, in turn."""
    for number in range(setting.count):
        for kind, trial in TRIALS.items():
            trial(setting, f"gw-{kind}-{number}")
            setting.findings.runs += 1
            found = setting.findings
            setting.say(f"{kind} {number + 1}: {found.in_short()}, other {found.forbidden.total()}")


PROOF = Proof(
    "refuse",
    "broker and database refuse; sites, secrets, client ids and room are taken away",
    "of each kind",
    full=20,
    quick=1,
    run=run,
)
