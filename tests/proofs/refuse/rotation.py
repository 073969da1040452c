"""A password and a token are replaced while the gateway works: it reads the new ones and continues without a restart.

The server is changed before the file, or after it. In between the server refuses the gateway, which must report it.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fleet_sim.judging.stored import InfluxPlace
from tests.proofs.ground.field import forwarded
from tests.proofs.proof import Setting, Unavailable
from tests.proofs.refuse.trial import (
    WITHIN,
    honest_fleet,
    judge_fleet,
    make_gateway,
    must_clear,
    must_report,
    wait_accepted,
)
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.influx import Influx

USER: Final = "gateway"
BROKER_REFUSES: Final = ("password", "authori")
DATABASE_REFUSES: Final = ("sink_influx", "token")


def run(setting: Setting, name: str) -> None:
    """Replace the broker's password, and the database's token where there is a database."""
    passwords = setting.directory / f"{name}.passwords"
    secret = setting.directory / f"{name}.secret"
    word = secrets.token_hex(8)
    set_password(passwords, word)
    write_secret(secret, word)
    broker = setting.broker(f"password_file {passwords}")
    mqtt = {"url": broker.url, "user": USER, "password": f"file:{secret}"}
    gateway = make_gateway(setting, broker, name, mqtt=mqtt)
    influx = _influx(setting)
    rotate_token = None if influx is None else _forward(setting, gateway, influx, name)
    gateway.start()
    with honest_fleet(setting, broker, f"{name}-site") as fleet:
        wait_accepted(gateway)
        _rotate_password(setting, broker, gateway, passwords, secret)
        wait_accepted(gateway)
        if rotate_token is not None:
            rotate_token()
    place = None if influx is None else InfluxPlace(influx.url, influx.org, influx.token)
    if place is not None:
        gateway.wait_for(forwarded, within=WITHIN)
    judge_fleet(setting, gateway, fleet.ledger, place)
    setting.findings.faults["password rotated"] += 1
    gateway.kill()


def set_password(passwords: Path, word: str) -> None:
    """Set the gateway's password in the broker's file."""
    created = [] if passwords.exists() else ["-c"]
    subprocess.run(
        ["mosquitto_passwd", *created, "-b", passwords, USER, word], check=True, capture_output=True
    )
    passwords.chmod(0o644)


def write_secret(path: Path, word: str) -> None:
    """Replace a secret's file by renaming."""
    new = path.with_suffix(".new")
    new.write_text(word + "\n")
    new.chmod(0o600)
    new.replace(path)


def _rotate_password(
    setting: Setting, broker: Broker, gateway: Gateway, passwords: Path, secret: Path
) -> None:
    """Change password and file in either order; the broker restarts, so that every client logs in again."""
    word = secrets.token_hex(8)
    broker_first = setting.rng.random() < 0.5
    if not broker_first:
        write_secret(secret, word)
    set_password(passwords, word)
    broker.restart()
    if broker_first:
        must_report(setting, gateway, "the password was changed", *BROKER_REFUSES)
        write_secret(secret, word)
    must_clear(setting, gateway, "the new password was written", *BROKER_REFUSES)


def _influx(setting: Setting) -> Influx | None:
    try:
        return setting.influx()
    except Unavailable as error:
        setting.findings.measured["tokens rotated"] = f"not run: {error}"
        return None


def _forward(setting: Setting, gateway: Gateway, influx: Influx, name: str) -> Callable[[], None]:
    """Let the gateway forward with a token of its own; return a function that replaces the token."""
    bucket = influx.fresh_bucket()
    path = setting.directory / f"{name}.token"
    old = authorize(influx, path)
    gateway.reconfigure(
        influx={"url": influx.url, "org": influx.org, "token": f"file:{path}"},
        windows=[{"every": "2s", "bucket": bucket, "keep": "30d"}],
    )

    def rotate() -> None:
        influx.call("DELETE", f"/api/v2/authorizations/{old}")
        must_report(setting, gateway, "the token was revoked", *DATABASE_REFUSES)
        authorize(influx, path)
        must_clear(setting, gateway, "the new token was written", *DATABASE_REFUSES)
        setting.findings.faults["token rotated"] += 1

    return rotate


def authorize(influx: Influx, path: Path) -> str:
    """Create a token that may write to every bucket, and write it to `path`; return the authorization's id."""
    org = influx.call("GET", f"/api/v2/orgs?org={influx.org}")["orgs"][0]["id"]
    permission = {"action": "write", "resource": {"type": "buckets", "orgID": org}}
    made = influx.call("POST", "/api/v2/authorizations", {"orgID": org, "permissions": [permission]})
    write_secret(path, made["token"])
    return str(made["id"])
