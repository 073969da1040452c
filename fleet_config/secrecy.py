"""What an error must not repeat: the value of a key that holds a secret, and a password in an address."""

from __future__ import annotations

import re
from typing import Final

_KEY = re.compile(r"passw(?:or)?d|passphrase|secret|token|credential", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=://)\S*@")
_QUERY = re.compile(rf"([?&;][^=&;\s]*(?:{_KEY.pattern}|key|auth)[^=&;\s]*=)[^&;\s'\"]+", re.IGNORECASE)
UNSEEN: Final = "…"


class Hidden:
    """Stands for a value that is not shown."""

    def __str__(self) -> str:
        return UNSEEN


HIDDEN: Final = Hidden()


def names_secret(key: object) -> bool:
    """Whether a key's value is a secret, or may be one written by mistake."""
    return isinstance(key, str) and _KEY.search(key) is not None


def redacted(text: str) -> str:
    """Return `text` without user and password of addresses, and without what a query says of secrets."""
    if "://" in text:
        text = _USERINFO.sub(f"{UNSEEN}@", text)
    return _QUERY.sub(rf"\1{UNSEEN}", text) if "=" in text else text
