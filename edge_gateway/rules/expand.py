"""Runs of different lengths as flat columns."""

import numpy as np

from edge_gateway.frame import IntColumn


def expand(starts: IntColumn, counts: IntColumn) -> tuple[IntColumn, IntColumn]:
    """For runs `starts[i] … starts[i] + counts[i] − 1`: (owner i, member) of every member, in order."""
    owner = np.repeat(np.arange(len(counts)), counts)
    first = np.cumsum(counts) - counts
    return owner, np.arange(len(owner)) + (starts - first)[owner]
