"""Bad links."""

from fleet_wire.link import Conditions, Pipe

__all__ = ["Conditions", "Pipe"]
