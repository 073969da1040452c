"""An operator's request to forget a device or one of its metrics: checked, and answered."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any

from edge_gateway.columns.numbering import NONE
from edge_gateway.records.inputs import Forget, Moment
from fleet_config.problems import suggest
from fleet_wire.printable import printable

if TYPE_CHECKING:
    from edge_gateway.fleet.registry import Registry


def forget_input(
    registry: Registry, moment: Moment, args: Mapping[str, Any], strangers: Container[str] = (), by: str = ""
) -> Forget:
    """Return the input that forgets `device`, or only its `metric` where `args` name one, as the operator `by` asks.

    `strangers` are publishers that are no devices, because nothing of theirs was accepted. ValueError says, for the
    operator, what is wrong with `args`.
    """
    device, metric = args.get("device"), args.get("metric")
    if not isinstance(device, str) or not isinstance(metric, str | None):
        raise ValueError("forget needs a 'device', and takes a 'metric', both as text")  # noqa: TRY004 - an answer
    number = registry.find(device)
    if number is None and device in strangers and metric is None:
        return Forget(moment, device, None, by)
    if number is None and device in strangers:
        raise ValueError(f"'{printable(device)}' has no metrics: nothing it sent was accepted")
    if number is None:
        raise ValueError(f"no device '{printable(device)}' is known here")
    if metric is None and device in registry.expected:
        raise ValueError(
            f"'{device}' is expected by the inventory: take it out of that file, and it is forgotten"
        )
    if metric is not None and registry.table.find(number, metric) == NONE:
        names = registry.metric_names
        known = [names[registry.series_metric[one]] for one in registry.table.of_device(number).tolist()]
        raise ValueError(f"'{printable(device)}' has no metric '{printable(metric)}'{suggest(metric, known)}")
    return Forget(moment, device, metric, by)


def forgotten_text(given: Forget) -> str:
    """Return what the history says of a device or metric that was forgotten."""
    what = given.device if given.metric is None else f"{given.metric} of {given.device}"
    return f"{what} forgotten by {given.by}"


def forget_answer(given: Forget, *, stranger: bool = False) -> str:
    """Return what happens next, for the operator; `stranger`: what was forgotten is no device."""
    if stranger:
        return f"{given.device}: forgotten; it is listed again with the next message that cannot be used"
    if given.metric is not None:
        return f"{given.device} {given.metric}: starts afresh with its next value"
    return (
        f"{given.device}: its metrics start afresh with their next values; "
        "if it stays silent, it is forgotten once its open windows are closed, "
        "and what the broker retains of it does not bring it back"
    )
