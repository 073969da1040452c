"""What an operator asks to be forgotten, as an input of the fold, and what the answer is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edge_gateway.columns.numbering import NONE
from edge_gateway.records.inputs import Forget, Moment
from fleet_config.problems import suggest
from fleet_wire.printable import printable

if TYPE_CHECKING:
    from edge_gateway.fleet.registry import Registry


def forgetting(registry: Registry, moment: Moment, args: Mapping[str, Any]) -> Forget:
    """The input that `args` ask for: `device`, and `metric` where only one is meant. ValueError: why it cannot be."""
    device, metric = args.get("device"), args.get("metric")
    if not isinstance(device, str) or not isinstance(metric, str | None):
        raise ValueError("forget wants a 'device', and may have a 'metric', both as text")  # noqa: TRY004 - an answer
    number = registry.find(device)
    if number is None:
        raise ValueError(f"no device '{printable(device)}' is known here")
    if metric is not None and registry.table.find(number, metric) == NONE:
        names = registry.metric_names
        known = [names[registry.series_metric[one]] for one in registry.table.of_device(number).tolist()]
        raise ValueError(f"'{printable(device)}' has no metric '{printable(metric)}'{suggest(metric, known)}")
    return Forget(moment, device, metric)


def answer(asked: Forget) -> str:
    """What follows, for the operator."""
    if asked.metric is not None:
        return f"{asked.device} {asked.metric}: begins anew with its next value"
    return (
        f"{asked.device}: its metrics begin anew with their next values; "
        "if it stays silent it is forgotten as soon as its open windows are closed"
    )
