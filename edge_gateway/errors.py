"""The errors a caller of the gateway acts on.

GatewayError                  a sentence for the operator; the CLI prints it and exits with `status`
├── BadInput        (2)       what a person wrote is wrong: configuration, rules, arguments
├── CannotReach     (3)       what the gateway needs does not answer: broker, database, running gateway
└── SpoolInUse      (2)       another process holds the spool directory

Everything else that goes wrong in the field is an outcome with a counter, not an exception.
"""


class GatewayError(Exception):
    """A sentence for the operator; `status` is the exit status of the CLI."""

    status = 1


class BadInput(GatewayError):
    """What a person wrote is wrong."""

    status = 2


class SpoolInUse(BadInput):
    """Another process holds the spool directory."""


class CannotReach(GatewayError):
    """What the gateway needs does not answer."""

    status = 3
