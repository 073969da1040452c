"""SUBSCRIBE and UNSUBSCRIBE: the packets, waiting for their answers, and refusals."""

import asyncio
from collections.abc import Sequence

import mqtt5

from fleet_wire.errors import ConnectionLost, ConnectRefused, meaning
from fleet_wire.outgoing import FIRST_RESERVED_ID

_LARGEST_ID = 65_535
_REFUSED = 0x80
_GRANTED_QOS_1 = 1
_QOS_1 = mqtt5.QoS.AT_LEAST_ONCE


class Requests:
    """Requests of one connection that wait for their answer, each under its packet id."""

    __slots__ = ("_next_id", "_waiting")

    def __init__(self) -> None:
        self._next_id = FIRST_RESERVED_ID
        self._waiting: dict[int, asyncio.Future[list[int]]] = {}

    def take_id(self) -> int:
        packet_id = self._next_id
        self._next_id = packet_id + 1 if packet_id < _LARGEST_ID else FIRST_RESERVED_ID
        return packet_id

    async def answer(self, packet_id: int) -> list[int]:
        """Wait for the reason codes; ConnectionLost if the connection ends first."""
        future: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self._waiting[packet_id] = future
        try:
            return await future
        finally:
            self._waiting.pop(packet_id, None)

    def answered(self, packet: mqtt5.SubAckPacket | mqtt5.UnsubAckPacket) -> None:
        future = self._waiting.get(packet.packet_id)
        if future and not future.done():
            future.set_result([int(code) for code in packet.reason_codes])

    def fail(self, lost: ConnectionLost) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(lost)


def subscribe_packet(packet_id: int, filters: Sequence[str], *, session_present: bool) -> bytes:
    """Encode a SUBSCRIBE at QoS 1; with `session_present` retained messages come only for new subscriptions.

    Only what the broker had kept comes with the retain flag, not what was just published to be kept.
    """
    handling = mqtt5.RetainHandling
    retain = handling.SEND_IF_SUBSCRIPTION_NOT_EXISTS if session_present else handling.SEND_ALWAYS
    wanted = [
        mqtt5.TopicFilter(text, max_qos=_QOS_1, retain_as_published=False, retain_handling=retain)
        for text in filters
    ]
    return mqtt5.SubscribePacket(packet_id, wanted).write()


class NotGranted(ConnectRefused):
    """The broker did not grant every filter at QoS 1; `codes` has the reason for each that it did not.

    The others are subscribed. The text names the first refused one.
    """

    def __init__(self, codes: dict[str, int]) -> None:
        text, code = next(iter(codes.items()))
        super().__init__(f"subscription to {text}: {why_not_granted(code)}", code)
        self.codes = codes


def why_not_granted(code: int) -> str:
    """Put into words why a filter was not granted at QoS 1."""
    return meaning(code) if code >= _REFUSED else f"granted at QoS {code} only"


def check_subscribed(filters: Sequence[str], codes: Sequence[int]) -> None:
    """Raise NotGranted if a filter was not granted at QoS 1, ConnectRefused if the answer does not fit the request."""
    refused = {text: code for text, code in _answers(filters, codes) if code != _GRANTED_QOS_1}
    if refused:
        raise NotGranted(refused)


def check_unsubscribed(filters: Sequence[str], codes: Sequence[int]) -> None:
    """Raise ConnectRefused for the first filter the broker would not drop."""
    for text, code in _answers(filters, codes):
        if code >= _REFUSED:
            raise ConnectRefused(f"unsubscribing from {text}: {meaning(code)}", code)


def _answers(filters: Sequence[str], codes: Sequence[int]) -> list[tuple[str, int]]:
    if len(filters) != len(codes):
        raise ConnectRefused(f"the broker gave {len(codes)} answers to {len(filters)} topic filters")
    return list(zip(filters, codes, strict=True))
