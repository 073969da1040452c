"""The errors a caller of the gateway acts on.

GatewayError                  a sentence for the operator; the CLI prints it and exits with `status`
├── BadInput        (2)       what a person wrote is wrong: configuration, rules, arguments
│   ├── SpoolInUse            another process holds the spool directory
│   └── OtherSpool            a program of another version wrote the spool: this one must not touch it
└── CannotReach     (3)       what the gateway needs does not answer: broker, database, running gateway
    └── NoGateway             nothing listens on the gateway's socket: what needs none may be done without it

Everything else that goes wrong in the field is an outcome with a counter, not an exception.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class GatewayError(Exception):
    """A sentence for the operator; `status` is the exit status of the CLI."""

    status = 1


class BadInput(GatewayError):
    """What a person wrote is wrong."""

    status = 2


class SpoolInUse(BadInput):
    """Another process holds the spool directory."""


class OtherSpool(BadInput):
    """A program of another version wrote the spool, and this one would lose what it cannot read."""

    @classmethod
    def of(cls, path: Path, found: int, known: int) -> OtherSpool:
        """A file of format `found`, where this program reads `known`."""
        age = "a newer" if found > known else "an older"
        return cls(
            f"{path} was written by {age} edge-gateway (format {found}, this one reads {known}): start that"
            " version again, or give this one a new spool.path; nothing was changed"
        )

    @classmethod
    def of_records(cls, journal: Path, by: str, found: int, known: int) -> OtherSpool:
        """A journal with records that must be folded again by the version that made them."""
        wanted = f"version {by}" if by else "that version"
        return cls(
            f"{journal} holds records that are in no checkpoint yet, and only the edge-gateway that wrote them can fold"
            f" (fold {found}, this one has fold {known}): start {wanted} once and stop it, then start this one; nothing"
            " was changed"
        )


class CannotReach(GatewayError):
    """What the gateway needs does not answer."""

    status = 3


class NoGateway(CannotReach):
    """No gateway runs on the spool."""
