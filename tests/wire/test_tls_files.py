"""Each file of a TLS client is checked by itself: the message names the one that is wrong."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from fleet_wire.tls_files import BadTlsFile, tls_context

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with two certificates and their keys: a.crt, a.key, b.crt, b.key."""
    directory = tmp_path_factory.mktemp("tls")
    kind = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for name in ("a", "b"):
        files = ["-keyout", f"{directory}/{name}.key", "-out", f"{directory}/{name}.crt"]
        subprocess.run([*kind, "-subj", "/CN=x", "-days", "2", *files], check=True, capture_output=True)
    (directory / "both.pem").write_bytes(
        (directory / "a.crt").read_bytes() + (directory / "a.key").read_bytes()
    )
    return directory


def test_files_that_fit_make_a_context(pair: Path) -> None:
    made = tls_context(pair / "a.crt", pair / "a.crt", pair / "a.key")
    assert made.verify_mode == ssl.CERT_REQUIRED
    assert len(made.get_ca_certs()) == 1
    assert tls_context(None, pair / "both.pem", None).check_hostname


@pytest.mark.parametrize(
    ("files", "which", "why"),
    [
        (("gone", None, None), "ca", "No such file or directory"),
        (("a.crt", "gone", "a.key"), "cert", "No such file or directory"),
        (("a.crt", "a.crt", "gone"), "key", "No such file or directory"),
        (("a.key", None, None), "ca", "holds no certificate in PEM form"),
        ((None, "a.key", "a.key"), "cert", "holds no certificate in PEM form"),
        ((None, "a.crt", "a.crt"), "key", "holds no private key in PEM form, or one with a passphrase"),
        ((None, "a.crt", None), "key", "holds no private key in PEM form, or one with a passphrase"),
        ((None, "a.crt", "b.key"), "key", "is not the key of the certificate "),
        (("", None, None), "ca", "is not a regular file"),
    ],
)
def test_the_file_that_is_wrong_is_named(
    pair: Path, files: tuple[str | None, str | None, str | None], which: str, why: str
) -> None:
    ca, cert, key = (None if name is None else pair / name for name in files)
    with pytest.raises(BadTlsFile) as refused:
        tls_context(ca, cert, key)
    wrong = {"ca": ca, "cert": cert, "key": key or cert}[which]
    assert refused.value.which == which
    assert str(refused.value).startswith(f"{wrong}: {why}")


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.pem")
    with pytest.raises(BadTlsFile, match="is not a regular file"):
        tls_context(tmp_path / "x.pem", None, None)
