"""What others refuse, take away, steal or use up: nothing is lost or counted twice, and the gateway says what is wrong.

    ACL         commands, alerts or the status are refused by the broker, and allowed again
    packets     the broker takes only small packets
    sites       a site is given to another gateway, with messages still queued for the first
    rotation    the broker's password and the database's token are replaced
    identity    whoever has one device's password takes the client id of the gateway or of another device
    crowding    one device fills the tables
    idlers      somebody opens every connection there is and says nothing

An honest fleet is at work in each; its ledger is compared with every window, alert and command that is held.
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
    """Each kind `count` times, in turn."""
    for number in range(setting.count):
        for kind, trial in TRIALS.items():
            trial(setting, f"gw-{kind}-{number}")
            setting.tally.runs += 1
            found = setting.tally
            setting.say(
                f"{kind} {number + 1}: {found.acknowledged:,} readings, lost {found.lost}, double {found.double}, "
                f"other {found.forbidden.total()}"
            )


PROOF = Proof(
    "refuse",
    "what broker and database refuse, what is taken away, stolen, used up",
    "of each kind",
    full=20,
    quick=1,
    run=run,
)
