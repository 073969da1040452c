"""What the events of the store thread mean to an operator."""

from collections.abc import Mapping
from typing import Final

from edge_gateway.status.catalogue import Problem

STORE_PROBLEMS: Final[Mapping[str, Problem]] = {
    "store_stalled": Problem.STORE_STALLED,
    "store_salvaged": Problem.STORE_CORRUPT,
    "store_lost": Problem.STORE_LOST,
    "record_refused": Problem.RECORD_REFUSED,
}
"""Problem by event of the store thread."""
