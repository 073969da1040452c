"""The identities of the counters, for each device."""

import numpy as np

from edge_gateway.fleet.accounting import Accounting


def imbalance(accounting: Accounting) -> list[int]:
    """Return the devices, NO_DEVICE included, whose counters break an identity: always none, or there is a bug."""
    has = accounting.snapshot()["columns"]
    messages = has["received"] != has["new"] + has["duplicate"] + has["not_known"] + has["quarantined"]
    values = has["values"] != has["accepted"] + has["too_late"] + has["bad"] + has["refused"]
    return [int(row) - 1 for row in np.flatnonzero(messages | values)]
