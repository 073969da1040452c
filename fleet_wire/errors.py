"""Errors of a session: why it could not start or why it ended, and what to do about it."""

import os
import re
import socket
import ssl

from fleet_wire.printable import LONGEST

SESSION_TAKEN_OVER = 0x8E
"""Reason code of a broker that gave this client id to a newer connection."""
BAD_USER = 0x86
NOT_AUTHORISED = 0x87
PACKET_TOO_LARGE = 0x95
RETAIN_NOT_SUPPORTED = 0x9A

_ERRNO = re.compile(r"\[Errno (\d+)\]")
_SYSTEMS_OWN = ("[Errno ", "Multiple exceptions: ")
"""How the text of an error begins that is all the system's or asyncio's."""
_NUMBERED = re.compile(r"\[Errno -?\d+\] ?")
_SSLS_OWN = re.compile(r"^\[\w+: \w+\] | \(_ssl\.c:\d+\)$")
"""What Python's ssl puts around OpenSSL's words."""

# MQTT 5, section 2.4: what a code means to whoever runs the program.
_MEANINGS = {
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "the broker does not accept this at the moment",
    0x84: "the broker does not speak MQTT 5",
    0x85: "client id not valid: choose another",
    BAD_USER: "bad user name or password",
    NOT_AUTHORISED: "not authorised: check user name, password and the broker's access list",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "this client is banned",
    0x8B: "server shutting down",
    0x8C: "bad authentication method",
    0x8D: "keep-alive timeout: the broker heard nothing from this client",
    SESSION_TAKEN_OVER: "session taken over: another program connected with this client id",
    0x8F: "topic filter not valid",
    0x90: "topic name not valid",
    0x91: "packet identifier in use",
    0x93: "Receive Maximum exceeded",
    0x94: "topic alias not valid",
    PACKET_TOO_LARGE: "packet too large for the broker",
    0x96: "message rate too high",
    0x97: "quota exceeded",
    0x98: "ended by the broker's administrator",
    0x99: "payload format not valid",
    RETAIN_NOT_SUPPORTED: "the broker keeps no retained messages, which the contract needs",
    0x9B: "the broker does not support QoS 1, which the contract needs",
    0x9C: "use another server",
    0x9D: "server moved",
    0x9E: "shared subscriptions are not supported",
    0x9F: "connection rate exceeded",
    0xA0: "maximum connect time",
    0xA1: "subscription identifiers are not supported",
    0xA2: "wildcard subscriptions are not supported",
}


class ConnectRefused(Exception):
    """The peer answered and refused the session or a subscription.

    `reason` is the MQTT reason code; None if the peer is not an MQTT 5 broker or its TLS cannot be trusted.
    """

    def __init__(self, text: str, reason: int | None = None) -> None:
        super().__init__(text)
        self.reason = reason


class ConnectionLost(Exception):
    """There is no connection, or it has ended. `reason` is the broker's reason code, if it gave one."""

    def __init__(self, text: str, reason: int | None = None) -> None:
        super().__init__(text)
        self.reason = reason

    @property
    def taken_over(self) -> bool:
        """Whether the broker says that another connection took this client id; reconnecting would only take it back.

        Mosquitto 2.0 closes the connection without saying so.
        """
        return self.reason == SESSION_TAKEN_OVER


def meaning(reason: int, said: str | None = None) -> str:
    """Put a reason code into words, with the broker's own text if it gave one."""
    text = _MEANINGS.get(reason, "unknown reason")
    return f"{text} (0x{reason:02x}{f', the broker says {said[:LONGEST]!r}' if said else ''})"


def not_mqtt(head: bytes, address: str) -> ConnectRefused:
    """Return an error that says what answered CONNECT instead of an MQTT 5 broker, by its first bytes."""
    return ConnectRefused(f"{address} {_who_answers(head)}")


def _who_answers(head: bytes) -> str:
    if head[:2] == b"\x20\x02":
        return "speaks MQTT 3 only: an MQTT 5 broker is needed"
    if head[:1] in (b"\x15", b"\x16") and head[1:2] == b"\x03":
        return "speaks TLS: use mqtts:// or set up TLS"
    if head[:5] == b"HTTP/":
        return "is a web server, not an MQTT broker: check the port"
    return f"does not speak MQTT (it answered {head[:8]!r}): check the port"


def unreachable(problem: OSError, address: str, *, waited: float) -> ConnectRefused | ConnectionLost:
    """Put into words why no connection came about."""
    if text := tls_fault(problem):
        return ConnectRefused(f"{address}: {text}")
    if isinstance(problem, TimeoutError) and problem.errno is None:
        return ConnectionLost(f"{address} did not answer within {waited:g} s")
    return ConnectionLost(f"cannot reach {address}: {system_text(problem)}")


def tls_fault(problem: BaseException) -> str:
    """Describe why TLS failed; "" if something else did."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {problem.verify_message}"
    if isinstance(problem, ssl.SSLError) and not isinstance(problem, ssl.SSLEOFError):
        return f"TLS failed ({system_text(problem)}): check that the port is TLS"
    return ""


def plain_text(error: BaseException) -> str:
    """Describe why a connection or a request failed, without the numbers and wrappings of the system and of libraries.

    A library's own error may keep the system's as its cause, or only repeat its text.
    """
    if isinstance(error, ConnectionLost | ConnectRefused):
        return str(error)
    for one in (error, error.__cause__):
        if isinstance(one, TimeoutError) and one.errno is None:
            return str(one) or "no answer in time"
        if isinstance(one, OSError):
            return tls_fault(one) or system_text(one)
    text = str(error)
    words = _numbers_in_words(text) if text.startswith(_SYSTEMS_OWN) else ""
    return words or _NUMBERED.sub("", text) or type(error).__name__


def system_text(problem: OSError) -> str:
    """Return the system's words for a failed connection, each once when several addresses were tried.

    asyncio replaces them by "Connect call failed", or by "Multiple exceptions" and a list; those of a name that was not
    found are kept.
    """
    if problem.errno and not isinstance(problem, socket.gaierror | ssl.SSLError):
        return os.strerror(problem.errno)
    if problem.errno is None and (words := _numbers_in_words(str(problem))):
        return words
    return _SSLS_OWN.sub("", problem.strerror or str(problem)) or "the connection was closed"


def _numbers_in_words(text: str) -> str:
    """Return the system's words for the error numbers in a text, each once; "" if it has none."""
    numbers = dict.fromkeys(_ERRNO.findall(text))
    return ", ".join(os.strerror(int(number)) for number in numbers)
