"""What an error must not repeat."""

import pytest

from fleet_config.secrecy import HIDDEN, UNSEEN, names_secret, redacted


@pytest.mark.parametrize("key", ["password", "PASSWD", "token", "client_secret", "passphrase", "credentials"])
def test_a_key_that_holds_a_secret_is_known_by_its_name(key: str) -> None:
    assert names_secret(key)


@pytest.mark.parametrize("key", ["host", "pass", "user", 7, None])
def test_other_keys_are_shown(key: object) -> None:
    assert not names_secret(key)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mqtt://me:pw@host:1883", "mqtt://…@host:1883"),
        ("mqtt://me:p@w@host", "mqtt://…@host"),
        ("http://host/?token=abc&org=x", "http://host/?token=…&org=x"),
        ("http://host/?api_key=abc", "http://host/?api_key=…"),
        ("mqtt://host:1883", "mqtt://host:1883"),
        ("me@host, a=b", "me@host, a=b"),
    ],
)
def test_a_text_loses_user_and_password_of_addresses_and_secrets_of_queries(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_what_is_hidden_shows_as_a_mark() -> None:
    assert str(HIDDEN) == UNSEEN
