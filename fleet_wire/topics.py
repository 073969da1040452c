"""The topics of the contract: a builder for each and its parser, which are inverses."""

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

TELEMETRY, STATUS, COMMAND, ACK, RECEIPT = "telemetry", "status", "command", "ack", "receipt"
DEVICE_KINDS = (TELEMETRY, STATUS, COMMAND, ACK, RECEIPT)
REPLY = "reply"
ECHO = "echo"
GATEWAY_KINDS = (STATUS, COMMAND, REPLY, ECHO)

GATEWAY_SUBJECT = "_gateway"
"""The subject of an alert about the gateway itself."""
NO_SITE = "_"
"""The site level of an alert that belongs to no site."""
GROUP_SUBJECT = "_group-"
"""Begins the subject level of an alert about a group of devices."""
ANY = "+"

_FLEET = "fleet/v1/"
_LEVEL = r"[A-Za-z0-9_-]{1,64}"
_is_level = re.compile(_LEVEL).fullmatch
_device = re.compile(rf"fleet/v1/({_LEVEL})/({_LEVEL})/({'|'.join(DEVICE_KINDS)})").fullmatch
_gateway = re.compile(rf"edge/v1/({_LEVEL})/({'|'.join(GATEWAY_KINDS)})").fullmatch
_alert = re.compile(rf"edge/v1/({_LEVEL})/alerts/({_LEVEL})/({_LEVEL})/({_LEVEL})").fullmatch


class DeviceTopic(NamedTuple):
    site: str
    device: str
    kind: str


class GatewayTopic(NamedTuple):
    gateway: str
    kind: str


class AlertTopic(NamedTuple):
    gateway: str
    site: str
    subject: str
    rule: str


def is_level(text: str) -> bool:
    """Return whether the text may be one level of a topic: 1 to 64 of A-Z a-z 0-9 _ and -."""
    return _is_level(text) is not None


def _level(what: str, text: str) -> str:
    if not is_level(text):
        raise ValueError(f"{what} {text[:80]!r} is not a topic level: use 1 to 64 of A-Z a-z 0-9 _ -")
    return text


def _one_of(kind: str, kinds: tuple[str, ...]) -> str:
    if kind not in kinds:
        raise ValueError(f"{kind!r} is not a kind of topic here: use one of {', '.join(kinds)}")
    return kind


def device_topic(site: str, device: str, kind: str) -> str:
    """Build `fleet/v1/<site>/<device>/<kind>`; ValueError for a bad level or kind."""
    return f"fleet/v1/{_level('site', site)}/{_level('device', device)}/{_one_of(kind, DEVICE_KINDS)}"


def parse_device_topic(topic: str) -> DeviceTopic | None:
    """Parse a device's topic; None if it is not one."""
    match = _device(topic)
    return DeviceTopic(*match.groups()) if match else None


def site_of(topic: str) -> str | None:
    """Return the level after `fleet/v1/`, even of a topic that is not of the contract; None for other topics."""
    if not topic.startswith(_FLEET):
        return None
    return topic[len(_FLEET) :].partition("/")[0]


def device_filters(sites: Sequence[str]) -> list[str]:
    """List what a gateway of these sites subscribes to: every status first, then telemetry, then acks.

    The order matters: a birth defines the meaning of a device's telemetry. `+` stands for every site.
    """
    if not sites:
        raise ValueError("no site to subscribe to: name the sites, or use '+' for all")
    levels = [ANY] if ANY in sites else [_level("site", site) for site in dict.fromkeys(sites)]
    return [f"fleet/v1/{level}/+/{kind}" for kind in (STATUS, TELEMETRY, ACK) for level in levels]


def own_filters(site: str, device: str) -> list[str]:
    """List what a device subscribes to: its commands and its receipts."""
    return [device_topic(site, device, kind) for kind in (COMMAND, RECEIPT)]


def gateway_topic(gateway: str, kind: str) -> str:
    """Build `edge/v1/<gateway>/<kind>`; ValueError for a bad level or kind."""
    return f"edge/v1/{_level('gateway', gateway)}/{_one_of(kind, GATEWAY_KINDS)}"


def gateway_status_topic(gateway: str) -> str:
    return gateway_topic(gateway, STATUS)


def operator_command_topic(gateway: str) -> str:
    return gateway_topic(gateway, COMMAND)


def operator_reply_topic(gateway: str) -> str:
    return gateway_topic(gateway, REPLY)


def gateway_echo_topic(gateway: str) -> str:
    """Build the topic on which a gateway publishes to itself, to learn when everything queued before has arrived."""
    return gateway_topic(gateway, ECHO)


def parse_gateway_topic(topic: str) -> GatewayTopic | None:
    """Parse a gateway's topic; None if it is not one."""
    match = _gateway(topic)
    return GatewayTopic(*match.groups()) if match else None


def alert_topic(gateway: str, site: str, subject: str, rule: str) -> str:
    """Build the topic of an alert.

    The subject is a device, `GATEWAY_SUBJECT` or the level of a group (`group_level`); the site may be `NO_SITE`.
    """
    levels = (_level("gateway", gateway), "alerts", _level("site", site), _level("subject", subject))
    return f"edge/v1/{'/'.join(levels)}/{_level('rule', rule)}"


def group_level(subject: str) -> str:
    """Return the level that stands for a group of devices, whose values may be anything: a hash of its subject."""
    return GROUP_SUBJECT + blake2b(subject.encode(), digest_size=8).hexdigest()


def parse_alert_topic(topic: str) -> AlertTopic | None:
    """Parse an alert's topic; None if it is not one."""
    match = _alert(topic)
    return AlertTopic(*match.groups()) if match else None
