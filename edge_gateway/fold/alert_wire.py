"""A transition as it stands on the wire."""

from __future__ import annotations

from typing import cast

from edge_gateway.records.alerts import Transition
from fleet_wire import control_messages


def alert_of(transition: Transition) -> control_messages.Alert:
    """The alert that notices, commands and the retained message carry."""
    return control_messages.Alert(
        id=transition.id,
        group=transition.group,
        rule=transition.rule,
        level=cast("control_messages.Level", transition.level),
        state=transition.state,
        subject=transition.subject,
        metric=transition.metric,
        value=transition.value,
        limit=transition.limit,
        at=transition.at,
        boot=transition.boot,
        seq=transition.seq,
        labels=dict(transition.labels),
        annotations=dict(transition.annotations),
    )
