"""The files of a TLS client: each is checked by itself, so that a message can name the one that is wrong."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from fleet_wire.errors import system_text

__all__ = ["BadTlsFile", "tls_context"]

_NO_PASSPHRASE: Final = ""
"""Without one OpenSSL prompts for the passphrase of an encrypted key on the terminal, and blocks the program."""


class BadTlsFile(Exception):
    """A file that cannot be used; `which` is `ca`, `cert` or `key`, and the text names the file and says why."""

    def __init__(self, which: str, file: Path, why: str) -> None:
        super().__init__(f"{file}: {why}")
        self.which = which


def tls_context(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return a context that verifies the broker and presents a certificate, whose key may be in the same file.

    Args:
        ca: certificates to trust; None for those of the system.
        cert: the client's certificate, with intermediate ones.
        key: its key, without a passphrase; None if `cert` holds it.

    Raises:
        BadTlsFile: the first file that cannot be used.
    """
    for which, file in (("ca", ca), ("cert", cert), ("key", key)):
        if file is not None:
            _check_readable(which, file)
    try:
        context = ssl.create_default_context(cafile=ca)
    except ssl.SSLError:
        raise BadTlsFile("ca", ca or Path(), "holds no certificate in PEM form") from None
    if cert is not None:
        _check_certificate(cert)
        try:
            context.load_cert_chain(cert, key, _NO_PASSPHRASE)
        except ssl.SSLError as problem:
            raise BadTlsFile("key", key or cert, _fault_of_key(problem, cert)) from None
    return context


def _check_readable(which: str, file: Path) -> None:
    try:
        if file.exists() and not file.is_file():  # to read a FIFO would block
            raise BadTlsFile(which, file, "is not a regular file")
        with file.open("rb"):
            pass
    except OSError as problem:
        raise BadTlsFile(which, file, system_text(problem)) from None


def _check_certificate(file: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError:
        raise BadTlsFile("cert", file, "holds no certificate in PEM form") from None


def _fault_of_key(problem: ssl.SSLError, cert: Path) -> str:
    if problem.reason == "KEY_VALUES_MISMATCH":
        return f"is not the key of the certificate {cert}"
    return "holds no private key in PEM form, or one with a passphrase"
