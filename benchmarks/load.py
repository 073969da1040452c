"""Publishes recorded messages at QoS 1, as fast as the broker takes them or at a fixed rate.

Runs as a process of its own (`python -m benchmarks.load`), so that its CPU is not counted for others. Packets are
encoded beforehand. It implements MQTT 3.1.1 itself, because only CONNECT, PUBLISH and PUBACK are needed.
"""

import argparse
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.child import Child
from benchmarks.stream import Message

CHUNK = 200
CHUNKS_A_SECOND = 500
"""Wake-ups a second at a fixed rate, which spread messages as from many devices; more would slow the publisher."""
_CONNECT = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04load"
_PUBLISH_QOS1 = 0x32
_PUBACK_BYTES = 4


def write_messages(messages: Iterable[Message], file: Path) -> None:
    with file.open("wb") as out:
        for topic, payload in messages:
            out.write(struct.pack(">HI", len(topic), len(payload)) + topic + payload)


def read_messages(file: Path) -> Iterator[Message]:
    content = file.read_bytes()
    at = 0
    while at < len(content):
        topic_length, payload_length = struct.unpack_from(">HI", content, at)
        topic_end = at + 6 + topic_length
        at = topic_end + payload_length
        yield content[topic_end - topic_length : topic_end], content[topic_end:at]


def publish_packet(topic: bytes, payload: bytes, packet_id: int) -> bytes:
    """A PUBLISH of QoS 1 (MQTT 3.1.1, 3.3)."""
    body = struct.pack(">H", len(topic)) + topic + struct.pack(">H", packet_id) + payload
    length = bytearray()
    rest = len(body)
    while True:
        rest, low = divmod(rest, 128)
        length.append(low | (128 if rest else 0))
        if not rest:
            return bytes([_PUBLISH_QOS1]) + bytes(length) + body


def chunks(messages: Iterable[Message], size: int = CHUNK) -> Iterator[tuple[bytes, int]]:
    """Yield packets in runs of `size`, each with its number of packets; packet ids are free again after each run."""
    packets: list[bytes] = []
    for topic, payload in messages:
        packets.append(publish_packet(topic, payload, len(packets) + 1))
        if len(packets) == size:
            yield b"".join(packets), len(packets)
            packets.clear()
    if packets:
        yield b"".join(packets), len(packets)


def publish(host: str, port: int, messages: Iterable[Message], rate: float | None) -> float:
    """Publish all and wait for every PUBACK; return the seconds. `rate`: messages/s, None for full speed."""
    size = CHUNK if rate is None else max(1, min(CHUNK, int(rate) // CHUNKS_A_SECOND))
    prepared = list(chunks(messages, size))
    with socket.create_connection((host, port)) as connection:
        connection.sendall(_CONNECT)
        _receive(connection, _PUBACK_BYTES)  # a CONNACK is as long
        start = time.monotonic()
        sent = 0
        for packets, count in prepared:
            if rate is not None:
                time.sleep(max(0.0, start + sent / rate - time.monotonic()))
            connection.sendall(packets)
            _receive(connection, _PUBACK_BYTES * count)
            sent += count
        return time.monotonic() - start


def _receive(connection: socket.socket, count: int) -> None:
    while count:
        received = len(connection.recv(count))
        if not received:
            raise ConnectionError("the broker closed the connection")
        count -= received


def load(port: int, file: Path, rate: float | None = None) -> Child:
    """Start the publisher; it ends when all is acknowledged."""
    command = [sys.executable, "-m", "benchmarks.load", str(file), "--port", str(port)]
    return Child([*command, *(["--rate", str(rate)] if rate else [])], file.with_suffix(".log"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float)
    arguments = parser.parse_args()
    publish("127.0.0.1", arguments.port, read_messages(arguments.file), arguments.rate)


if __name__ == "__main__":
    main()
