import string
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fleet_wire import topics

_ALPHABET = string.ascii_letters + string.digits + "_-"
levels = st.text(_ALPHABET, min_size=1, max_size=64)
not_levels = st.one_of(
    st.just(""),
    st.text(_ALPHABET, min_size=65, max_size=70),
    st.builds("{}{}{}".format, levels, st.characters(exclude_characters=_ALPHABET), levels),
)


@given(levels, levels, st.sampled_from(topics.DEVICE_KINDS))
def test_a_device_topic_is_parsed_into_its_parts(site: str, device: str, kind: str) -> None:
    topic = topics.device_topic(site, device, kind)
    assert topics.parse_device_topic(topic) == (site, device, kind)
    assert topics.parse_gateway_topic(topic) is None
    assert topics.parse_alert_topic(topic) is None


@given(levels, st.sampled_from(topics.GATEWAY_KINDS))
def test_a_gateway_topic_is_parsed_into_its_parts(gateway: str, kind: str) -> None:
    topic = topics.gateway_topic(gateway, kind)
    assert topics.parse_gateway_topic(topic) == (gateway, kind)
    assert topics.parse_device_topic(topic) is None


@given(levels, levels, levels, levels)
def test_an_alert_topic_is_parsed_into_its_parts(gateway: str, site: str, subject: str, rule: str) -> None:
    topic = topics.alert_topic(gateway, site, subject, rule)
    assert topics.parse_alert_topic(topic) == (gateway, site, subject, rule)
    assert topics.parse_gateway_topic(topic) is None


@given(not_levels)
@example("a\n")
@example("+")
@example("#")
@example("ä")
@example("٣")
def test_a_bad_topic_level_is_refused_everywhere(bad: str) -> None:
    assert not topics.is_level(bad)
    builders: list[Callable[[], object]] = [
        lambda: topics.device_topic(bad, "d", topics.TELEMETRY),
        lambda: topics.device_topic("s", bad, topics.TELEMETRY),
        lambda: topics.gateway_status_topic(bad),
        lambda: topics.alert_topic(bad, "s", "d", "r"),
        lambda: topics.alert_topic("g", bad, "d", "r"),
        lambda: topics.alert_topic("g", "s", bad, "r"),
        lambda: topics.alert_topic("g", "s", "d", bad),
    ]
    for build in builders:
        with pytest.raises(ValueError, match="is not a topic level"):
            build()
    assert topics.parse_device_topic(f"fleet/v1/{bad}/d/status") is None
    assert topics.parse_gateway_topic(f"edge/v1/{bad}/status") is None


@given(st.text(max_size=200))
def test_any_parsed_topic_is_built_again_from_its_parts(topic: str) -> None:
    parsed = topics.parse_device_topic(topic)
    assert parsed is None or topics.device_topic(*parsed) == topic


@pytest.mark.parametrize(
    "topic",
    [
        "fleet/v2/s/d/telemetry",
        "fleet/v1/s/d/telemetry/",
        "fleet/v1/s/d/telemetry\n",
        "/fleet/v1/s/d/telemetry",
        "fleet/v1/s/d/receipts",
        "fleet/v1//d/telemetry",
    ],
)
def test_almost_valid_topics_are_not_device_topics(topic: str) -> None:
    assert topics.parse_device_topic(topic) is None


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'telemetri' is not a kind of topic"):
        topics.device_topic("s", "d", "telemetri")


def test_topics_have_the_text_of_the_contract() -> None:
    assert topics.device_topic("north", "pump-1", topics.RECEIPT) == "fleet/v1/north/pump-1/receipt"
    assert topics.gateway_status_topic("g1") == "edge/v1/g1/status"
    assert topics.operator_command_topic("g1") == "edge/v1/g1/command"
    assert topics.operator_reply_topic("g1") == "edge/v1/g1/reply"
    assert topics.gateway_echo_topic("g1") == "edge/v1/g1/echo"
    alert = topics.alert_topic("g1", topics.NO_SITE, topics.GATEWAY_SUBJECT, "no_broker")
    assert alert == "edge/v1/g1/alerts/_/_gateway/no_broker"


def test_a_gateway_subscribes_to_statuses_before_telemetry_and_to_each_site_once() -> None:
    assert topics.device_filters(["b", "a", "b"]) == [
        "fleet/v1/b/+/status",
        "fleet/v1/a/+/status",
        "fleet/v1/b/+/telemetry",
        "fleet/v1/a/+/telemetry",
        "fleet/v1/b/+/ack",
        "fleet/v1/a/+/ack",
    ]


def test_all_sites_are_one_subscription_per_kind() -> None:
    filters = ["fleet/v1/+/+/status", "fleet/v1/+/+/telemetry", "fleet/v1/+/+/ack"]
    assert topics.device_filters(["a", "+"]) == filters


def test_a_missing_or_bad_site_is_refused() -> None:
    with pytest.raises(ValueError, match="name the sites"):
        topics.device_filters([])
    with pytest.raises(ValueError, match="'a/b' is not a topic level"):
        topics.device_filters(["a/b"])


def test_a_device_subscribes_only_to_its_own_topics() -> None:
    assert topics.own_filters("s", "d") == ["fleet/v1/s/d/command", "fleet/v1/s/d/receipt"]


def test_a_group_of_devices_has_one_level_whatever_its_values_are() -> None:
    level = topics.group_level("site=berlin, room=cold/1 #+")
    assert level == topics.group_level("site=berlin, room=cold/1 #+") != topics.group_level("site=berlin")
    topic = topics.alert_topic("edge-1", topics.NO_SITE, level, "Warm")
    assert topics.parse_alert_topic(topic) == ("edge-1", "_", level, "Warm")
    assert level.startswith(topics.GROUP_SUBJECT)
