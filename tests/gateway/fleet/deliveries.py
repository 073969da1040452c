"""Deliveries of devices, an admission to admit them, and its counters."""

from typing import Any

from edge_gateway.fleet.admission import Admission, AdmissionPolicy
from edge_gateway.fleet.limits import RegistryLimits
from edge_gateway.fleet.registry import Registry
from edge_gateway.fleet.value_checks import MetricPolicy
from edge_gateway.records.inputs import Batch, Moment
from fleet_wire.telemetry import encode_telemetry
from fleet_wire.topics import TELEMETRY, device_topic
from tests.gateway.fleet.imbalance import imbalance

T = 1_760_000_000_000
DAY = 86_400_000
POLICY = AdmissionPolicy(
    metrics={
        "temperature": MetricPolicy(range=(-40.0, 85.0), missing=(-200.0,)),
        "ph": MetricPolicy(rate=(1.0, 1_000)),
    }
)


def fresh(limits: RegistryLimits | None = None) -> Admission:
    return Admission(Registry(limits), POLICY)


def topic(device: int = 1, site: str = "site") -> str:
    return device_topic(site, f"device-{device}", TELEMETRY)


def message(
    seq: int = 0, m: dict[str, Any] | None = None, ts: int | None = T, boot: int = 3, **others: Any
) -> bytes:
    return encode_telemetry(boot, seq, ts, {"t": 1.0} if m is None else m, **others)


def batch(
    *payloads: bytes, topics: list[str] | None = None, wall: int = T, trusted: bool = True, **others: Any
) -> Batch:
    return Batch(Moment(wall, 0, trusted), topics or [topic()] * len(payloads), list(payloads), **others)


def balanced(admission: Admission) -> dict[str, int]:
    """The counters of the fleet, after seeing that both identities hold for each device and in total."""
    assert imbalance(admission.accounting) == []
    totals = admission.accounting.totals()
    assert totals["received"] == sum(
        totals[name] for name in ("new", "duplicate", "not_known", "quarantined")
    )
    kept = totals["accepted"] + totals["too_late"] + totals["bad"] + totals["refused"]
    assert totals["values"] == kept
    return {name: count for name, count in totals.items() if count}
