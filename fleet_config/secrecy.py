"""Keeping secrets out of errors: values of keys that hold secrets, and passwords in addresses."""

from __future__ import annotations

import re
from typing import Final

_KEY = re.compile(r"passw(?:or)?d|passphrase|secret|token|credential", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=://)\S*@")
_QUERY = re.compile(rf"([?&;][^=&;\s]*(?:{_KEY.pattern}|key|auth)[^=&;\s]*=)[^&;\s'\"]+", re.IGNORECASE)
UNSEEN: Final = "…"


class Hidden:
    """A placeholder for a value that is not shown."""

    def __str__(self) -> str:
        return UNSEEN


HIDDEN: Final = Hidden()


def names_secret(key: object) -> bool:
    """Return whether the value of a key is a secret, or may be one written there by mistake."""
    return isinstance(key, str) and _KEY.search(key) is not None


def redacted(text: str) -> str:
    """Return `text` without the user and password of addresses, and without secrets in their queries."""
    if "://" in text:
        text = _USERINFO.sub(f"{UNSEEN}@", text)
    return _QUERY.sub(rf"\1{UNSEEN}", text) if "=" in text else text
