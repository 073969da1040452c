"""Build the control connection from its parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import aiomqtt

from edge_gateway.fold.messages import Message
from edge_gateway.mqtt.broker_dropped import BrokerDropped
from edge_gateway.mqtt.control_client import ControlClient
from edge_gateway.mqtt.control_session import Control
from edge_gateway.mqtt.oversized import OversizedMessages
from edge_gateway.mqtt.own_topics import Operate, OwnTopics
from edge_gateway.mqtt.ownership import Ownership
from edge_gateway.mqtt.packet_limit import PacketLimit
from edge_gateway.mqtt.refusals import Refusals
from edge_gateway.mqtt.retained_alerts import RetainedAlerts
from edge_gateway.mqtt.sending import Sending, Undelivered
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems


class Clients(Protocol):
    """Factory of this gateway's control clients; `standing_by` gives one that takes over no session."""

    def __call__(self, will: aiomqtt.Will) -> ControlClient: ...
    def standing_by(self) -> ControlClient: ...


def make_control(
    gateway: str,
    *,
    clients: Clients,
    monotonic: Callable[[], int],
    started: int,
    report: Callable[[], dict[str, Any]],
    firing_alerts: Callable[[], Iterable[Message]],
    operate: Operate,
    undelivered: Undelivered,
    ownership: Ownership,
    counters: Counters,
    problems: Problems,
    clock: Callable[[], float] = time.monotonic,
) -> Control:
    """Wire up one control connection.

    `monotonic`: milliseconds, in which messages expire; `started`: wall milliseconds; `clock`: monotonic seconds.
    """

    def status_taken() -> None:
        ownership.published = True

    sending = Sending(
        monotonic=monotonic,
        clock=clock,
        counters=counters,
        refusals=Refusals(gateway, clock, counters, problems),
        oversized=OversizedMessages(problems),
        limit=PacketLimit(clock),
        undelivered=undelivered,
        on_status=status_taken,
    )
    own_topics = OwnTopics(
        gateway=gateway,
        operate=operate,
        firing_alerts=firing_alerts,
        send=sending.send,
        waiting=sending.topics_waiting,
        ownership=ownership,
        clock=clock,
        retained=RetainedAlerts(clock),
        dropped=BrokerDropped(clock, counters, problems),
        counters=counters,
        problems=problems,
    )
    return Control(
        gateway=gateway,
        connect=clients,
        stand_by=clients.standing_by,
        report=report,
        started=started,
        sending=sending,
        own_topics=own_topics,
        ownership=ownership,
        counters=counters,
        problems=problems,
        clock=clock,
    )
