"""A thin MQTT 5 session for both hot paths: a gateway with 10⁴ messages per second, 10⁴ devices with a few each.

    socket ─▶ Connection ─packets─▶ Session ─deliveries of one read─▶ on_publish(epoch, packets)
                  ▲                                                        │ (fold, commit)
                  └──────────── one write ◀── ack(epoch, packet ids) ◀─────┘
    publish() ─▶ Outgoing (window, queue) ─▶ Connection ─▶ PUBACK ─▶ on_ack(reason)

Deliveries are acknowledged only by `ack`. A session outlives its connections: `connect` makes one attempt, and
unacknowledged publishes are sent again on the next connection.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

import mqtt5

from fleet_wire.connection import Connection, Dial, dial
from fleet_wire.errors import (
    PACKET_TOO_LARGE,
    SESSION_TAKEN_OVER,
    ConnectionLost,
    ConnectRefused,
    not_mqtt,
    unreachable,
)  # fmt: skip
from fleet_wire.handshake import accepted, ended_by_broker
from fleet_wire.outgoing import OnAck, Outgoing, PublishQueueFull
from fleet_wire.packets import (
    PUBACK_BYTES,
    Damage,
    describe_unexpected,
    encode_plain_publish,
    encode_pubacks,
    encode_publish,
    sort_packets,
)  # fmt: skip
from fleet_wire.session_options import Connected, SessionOptions
from fleet_wire.subscriptions import Requests, check_subscribed, check_unsubscribed, subscribe_packet

__all__ = [
    "SESSION_TAKEN_OVER", "ConnectRefused", "Connected", "ConnectionLost", "OnAck", "OnLost", "OnPublish",
    "PublishQueueFull", "Session", "SessionOptions",
]  # fmt: skip

OnPublish = Callable[[int, list[mqtt5.PublishPacket]], None]
OnLost = Callable[[ConnectionLost], None]

_CLOSE_WITHIN = 5.0
_Reason = mqtt5.DisconnectReasonCode


class Session:
    """An MQTT 5 session. Call its methods only in the thread of the loop that runs `connect`.

    `on_publish(epoch, packets)` gets every PUBLISH of one socket read, QoS 0 too, synchronously, and perhaps before
    `connect` has returned, because a resumed session starts delivering at once. `on_lost` is called once for each
    connection that ends without `disconnect` or `abort`. `queue` bounds the publishes that wait for the broker's
    Receive Maximum or for a connection. `dial` opens the transports; the simulator passes its own, for thousands of
    connections and for bad networks.
    """

    __slots__ = (
        "_connack", "_connection", "_dial", "_epoch", "_largest", "_lost", "_lost_waiter",
        "_on_lost", "_on_publish", "_outgoing", "_requests", "options", "outstanding", "overrun",
    )  # fmt: skip

    def __init__(
        self, options: SessionOptions, *, on_publish: OnPublish, on_lost: OnLost | None = None, queue: int = 1_000,
        dial: Dial = dial,
    ) -> None:  # fmt: skip
        self.options = options
        self._dial = dial
        self.overrun = 0
        """Deliveries that arrived while `receive_maximum` of them were already unacknowledged."""
        self.outstanding = 0
        """Deliveries of this connection that are not acknowledged."""
        self._on_publish = on_publish
        self._on_lost = on_lost
        self._outgoing = Outgoing(queue)
        self._connection: Connection | None = None
        self._connack: asyncio.Future[Connected] | None = None
        self._requests: Requests | None = None
        self._epoch = 0
        self._largest: int | None = None
        self._lost = ConnectionLost("not connected")
        self._lost_waiter: asyncio.Future[ConnectionLost] | None = None

    @property
    def connected(self) -> bool:
        return self._connection is not None and self._connack is None

    @property
    def epoch(self) -> int:
        """Number of the connection: 1 for the first that the broker accepts, and one more for each further."""
        return self._epoch

    @property
    def writable(self) -> bool:
        """Whether there is a connection whose write buffer is below its high-water mark."""
        return self._connection is not None and self._connack is None and self._connection.writable

    @property
    def queued(self) -> int:
        """Publishes that have not been sent on this connection yet."""
        return self._outgoing.queued

    @property
    def in_flight(self) -> int:
        """Publishes that were sent and are not acknowledged."""
        return self._outgoing.in_flight

    # Connecting and ending

    async def connect(self) -> Connected:
        """Make one attempt, within `connect_timeout` in all.

        Raises ConnectRefused if the peer refuses the session, ConnectionLost if there is no connection. If it fails or
        is cancelled, it leaves no connection behind. Reading is never paused on a new connection.
        """
        if self._connection is not None:
            raise RuntimeError("already connected: one session has one connection")
        options, loop = self.options, asyncio.get_running_loop()
        connection = Connection(self, loop, options.maximum_packet_size)
        connack: asyncio.Future[Connected] = loop.create_future()
        self._connection, self._connack, self._lost_waiter = connection, connack, None
        done = False
        try:
            async with asyncio.timeout(options.connect_timeout):
                await self._dial(connection, options)
                connection.write(options.connect_packet())
                answer = await connack
            done = True
        except OSError as problem:
            raise unreachable(problem, options.address, waited=options.connect_timeout) from problem
        finally:
            if not done:
                connack.cancel()
                self._discard(connection)
        return answer

    async def wait_lost(self) -> ConnectionLost:
        """Wait for the end of the connection and return its reason; return at once if there is no connection."""
        if self._connection is None:
            return self._lost
        if self._lost_waiter is None:
            self._lost_waiter = self._connection.loop.create_future()
        return await asyncio.shield(self._lost_waiter)

    async def disconnect(self, *, with_will: bool = False) -> None:
        """Send DISCONNECT and close. The broker keeps the session until it expires; unsent publishes stay here."""
        connection = self._connection
        if connection is None:
            return
        code = _Reason.DISCONNECT_WITH_WILL_MESSAGE if with_will else _Reason.NORMAL_DISCONNECTION
        connection.write(mqtt5.DisconnectPacket(reason_code=code).write())
        self._forget(ConnectionLost("disconnected by this side"))
        await connection.close(_CLOSE_WITHIN)

    def abort(self) -> None:
        """Close at once, as a crash would, without DISCONNECT; unsent bytes are dropped."""
        if self._connection is not None:
            self._discard(self._connection)

    def _discard(self, connection: Connection) -> None:
        if connection is self._connection:
            self._forget(ConnectionLost("aborted by this side"))
        connection.abort()

    async def subscribe(self, filters: Sequence[str], *, session_present: bool) -> None:
        """Subscribe at QoS 1, in this order; ConnectRefused names a filter the broker refused.

        With `session_present` the broker sends retained messages only for subscriptions that are new to it. Its answer
        comes after everything it has already sent, which may be a long backlog, so the wait has no deadline: only the
        answer or the end of the connection ends it.
        """
        connection, requests = self._ready()
        packet_id = requests.take_id()
        connection.write(subscribe_packet(packet_id, filters, session_present=session_present))
        check_subscribed(filters, await requests.answer(packet_id))

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """Drop subscriptions that a resumed session may still have; a missing one is not an error."""
        connection, requests = self._ready()
        packet_id = requests.take_id()
        connection.write(mqtt5.UnsubscribePacket(packet_id, list(filters)).write())
        check_unsubscribed(filters, await requests.answer(packet_id))

    def _ready(self) -> tuple[Connection, Requests]:
        if self._connection is None or self._connack is not None:
            raise ConnectionLost("not connected")
        if self._requests is None:
            self._requests = Requests()
        return self._connection, self._requests

    # Publishing

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, expiry: int | None = None,
        correlation: bytes | None = None, on_ack: OnAck | None = None,
    ) -> None:  # fmt: skip
        """Publish at QoS 1 or 0; the `expiry` in seconds counts from when the broker gets the message.

        A QoS 1 message is kept until acknowledged, across connections; then `on_ack` gets the reason code: 0x80 and
        above is a refusal. Beyond the broker's Receive Maximum, without a connection, or while it is not `writable`,
        the message waits in the queue; PublishQueueFull if that has no room. A QoS 0 message is sent now; without a
        writable connection it is PublishQueueFull. ValueError: a bad topic, or more bytes than the broker accepts.
        """
        connection = self._connection if self.writable else None
        packet_id = self._outgoing.take_id(hold=connection is None) if qos else None
        packet = encode_publish(
            topic, payload, packet_id, retain=retain, expiry=expiry, correlation=correlation
        )
        self._check_size(packet)
        if packet_id is None:
            if connection is None:
                raise PublishQueueFull("no writable connection, and QoS 0 does not wait for one")
            connection.write(packet)
        elif self._outgoing.admit(packet_id, packet, on_ack, hold=connection is None) and connection:
            connection.write(packet)

    def publish_plain(self, topic: bytes, payload: bytes, on_ack: OnAck) -> None:
        """As `publish` at QoS 1 without options, but faster; `topic` is a `topic_field`."""
        connection, outgoing = self._connection, self._outgoing
        if connection is None or self._connack is not None or not connection.writable or outgoing.full:
            self.publish(topic[2:].decode(), payload, on_ack=on_ack)
            return
        packet_id = outgoing.next_id()
        packet = encode_plain_publish(topic, payload, packet_id)
        self._check_size(packet)
        outgoing.unacked[packet_id] = (packet, on_ack)
        connection.write(packet)

    def _check_size(self, packet: bytes) -> None:
        if self._largest is not None and len(packet) > self._largest:
            raise ValueError(
                f"a packet of {len(packet)} bytes, but the broker accepts at most {self._largest}"
            )

    def _send_waiting(self, connection: Connection) -> None:
        if connection.writable and self._outgoing.queued:
            packets = self._outgoing.sendable()
            if packets:
                connection.write(b"".join(packets))

    # Receiving

    def ack(self, epoch: int, packet_ids: Iterable[int]) -> int:
        """Acknowledge deliveries of a connection, in this order and in one write; return how many were sent.

        Nothing is sent unless `epoch` is the current one, because each connection reuses packet ids.
        """
        connection = self._connection
        if connection is None or self._connack is not None or epoch != self._epoch:
            return 0
        packets = encode_pubacks(packet_ids)
        count = len(packets) // PUBACK_BYTES
        if count:
            self.outstanding -= count
            connection.write(packets)
        return count

    def pause(self) -> None:
        """Stop reading from the socket until `resume` or the end of this connection."""
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        if self._connection is not None:
            self._connection.resume()

    def packets_read(self, connection: Connection, packets: list[mqtt5.Packet]) -> None:
        """Handle the packets of one socket read."""
        if connection is not self._connection:
            return
        if self._connack is not None:
            self._handshake(connection, self._connack, packets.pop(0))
        if not self.connected:
            return
        deliveries, acks, others = sort_packets(packets)
        if deliveries:
            self._deliver(deliveries)
        if acks:
            self._acknowledged(connection, acks)
        for packet in others:
            self._take_other(connection, packet)

    def puback_read(self, connection: Connection, packet_id: int, reason: int) -> None:
        """Handle the only PUBACK of one socket read; during the handshake it is an error."""
        if connection is not self._connection:
            return
        if self._connack is not None:
            self._handshake(connection, self._connack, mqtt5.PubAckPacket(packet_id))
            return
        on_ack = self._outgoing.acknowledged(packet_id)
        if on_ack:
            on_ack(reason)
        if self._outgoing.queued:
            self._send_waiting(connection)

    def _deliver(self, deliveries: list[mqtt5.PublishPacket]) -> None:
        awaiting_ack = sum(packet.packet_id is not None for packet in deliveries)
        self.outstanding += awaiting_ack
        beyond = self.outstanding - self.options.receive_maximum
        self.overrun += max(0, min(beyond, awaiting_ack))
        self._on_publish(self._epoch, deliveries)

    def _acknowledged(self, connection: Connection, acks: list[mqtt5.PubAckPacket]) -> None:
        for packet in acks:
            on_ack = self._outgoing.acknowledged(packet.packet_id)
            if on_ack:
                on_ack(int(packet.reason_code))
        self._send_waiting(connection)

    def _take_other(self, connection: Connection, packet: mqtt5.Packet) -> None:
        if connection is not self._connection or isinstance(packet, mqtt5.PingRespPacket):
            return
        if isinstance(packet, mqtt5.SubAckPacket | mqtt5.UnsubAckPacket):
            if self._requests:
                self._requests.answered(packet)
        elif isinstance(packet, mqtt5.DisconnectPacket):
            self._lose(connection, ended_by_broker(packet))
        else:
            self._give_up(
                connection, f"the broker sent {describe_unexpected(packet)}", _Reason.PROTOCOL_ERROR
            )

    def _handshake(
        self, connection: Connection, connack: asyncio.Future[Connected], packet: mqtt5.Packet
    ) -> None:
        if connack.done():  # given up in this turn of the loop
            return
        try:
            answer = accepted(packet, self.options.address, needs_retained=self.options.needs_retained)
        except (ConnectRefused, ConnectionLost) as refusal:
            connack.set_exception(refusal)
            return
        self._epoch += 1
        self._connack, self._largest = None, answer.max_packet_size
        given = answer.server_keep_alive
        connack.set_result(Connected(answer.session_present, self._epoch, answer.receive_max, given))
        connection.keep_alive(self.options.keep_alive if given is None else given)
        resent = self._outgoing.resume(
            answer.receive_max, self._largest, session_present=answer.session_present
        )
        connection.write(b"".join(resent.packets))
        for on_ack in resent.too_large:
            on_ack(PACKET_TOO_LARGE)

    def damaged(self, connection: Connection, damage: Damage) -> None:
        """End the connection at a packet that cannot be read: everything after it is lost anyway."""
        if connection is not self._connection:
            return
        if self._connack is None:
            self._give_up(connection, f"the broker sent {damage.text}", damage.reason)
        elif not self._connack.done():
            self._connack.set_exception(not_mqtt(damage.head, self.options.address))

    def drained(self, connection: Connection) -> None:
        if connection is self._connection and self._connack is None:
            self._send_waiting(connection)

    def ended(self, connection: Connection, lost: ConnectionLost) -> None:
        if connection is not self._connection:
            return
        if self._connack is None:
            self._lose(connection, lost)
        elif not self._connack.done():
            self._connack.set_exception(
                ConnectionLost(f"{self.options.address} did not answer CONNECT: {lost}")
            )

    def _give_up(self, connection: Connection, text: str, reason: mqtt5.DisconnectReasonCode) -> None:
        connection.write(mqtt5.DisconnectPacket(reason_code=reason).write())
        self._lose(connection, ConnectionLost(text))

    def _lose(self, connection: Connection, lost: ConnectionLost) -> None:
        self._forget(lost)
        connection.abort()
        if self._on_lost:
            self._on_lost(lost)

    def _forget(self, lost: ConnectionLost) -> None:
        connack, requests, waiter = self._connack, self._requests, self._lost_waiter
        self._connection = self._connack = self._requests = self._lost_waiter = None
        self._lost, self.outstanding = lost, 0
        if connack and not connack.done():
            connack.set_exception(lost)
        if requests:
            requests.fail(lost)
        if waiter:
            waiter.set_result(lost)
