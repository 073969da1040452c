"""An operator's request to forget a device or one of its metrics: checked, and answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edge_gateway.columns.numbering import NONE
from edge_gateway.records.inputs import Forget, Moment
from fleet_config.problems import suggest
from fleet_wire.printable import printable

if TYPE_CHECKING:
    from edge_gateway.fleet.registry import Registry


def forget_input(registry: Registry, moment: Moment, args: Mapping[str, Any]) -> Forget:
    """Return the input that forgets `device`, or only its `metric` where `args` name one.

    ValueError says, for the operator, what is wrong with `args`.
    """
    device, metric = args.get("device"), args.get("metric")
    if not isinstance(device, str) or not isinstance(metric, str | None):
        raise ValueError("forget needs a 'device', and takes a 'metric', both as text")  # noqa: TRY004 - an answer
    number = registry.find(device)
    if number is None:
        raise ValueError(f"no device '{printable(device)}' is known here")
    if metric is not None and registry.table.find(number, metric) == NONE:
        names = registry.metric_names
        known = [names[registry.series_metric[one]] for one in registry.table.of_device(number).tolist()]
        raise ValueError(f"'{printable(device)}' has no metric '{printable(metric)}'{suggest(metric, known)}")
    return Forget(moment, device, metric)


def forget_answer(given: Forget) -> str:
    """Return what happens next, for the operator."""
    if given.metric is not None:
        return f"{given.device} {given.metric}: starts afresh with its next value"
    return (
        f"{given.device}: its metrics start afresh with their next values; "
        "if it stays silent, it is forgotten once its open windows are closed"
    )
