"""What the doctor says of a real InfluxDB, as each token and bucket would meet it; it leaves no point."""

from pathlib import Path
from typing import Any

import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.doctor import CheckResult, run_checks
from tests.servers.influx import Influx
from tests.servers.process import free_port


def found(place: Path, url: str, token: str, *buckets: str, org: str = "fleet") -> CheckResult:
    (place / "token").write_text(token)
    every = ("1m", "10m", "1h")
    settings: dict[str, Any] = {
        "mqtt": {"url": "mqtt://127.0.0.1"},
        "spool": {"path": str(place)},
        "rules": {"path": str(place)},
        "windows": [
            {"every": one, "bucket": bucket, "keep": "30d"}
            for one, bucket in zip(every, buckets, strict=False)
        ],
        "influx": {"url": url, "org": org, "token": f"file:{place}/token"},
    }
    findings = run_checks(GatewayConfig.model_validate(settings), embedded=True)
    (finding,) = [one for one in findings if one.check == "influx"]
    return finding


def token(influx: Influx, *actions: str, bucket: str, status: str = "active") -> str:
    one = influx.call("GET", f"/api/v2/buckets?name={bucket}")["buckets"][0]
    resource = {"type": "buckets", "id": one["id"], "orgID": one["orgID"]}
    permissions = [{"action": action, "resource": resource} for action in actions]
    body = {"orgID": one["orgID"], "status": status, "permissions": permissions}
    return str(influx.call("POST", "/api/v2/authorizations", body)["token"])


def token_of_another_organisation(influx: Influx, name: str) -> str:
    org = influx.call("POST", "/api/v2/orgs", {"name": name})["id"]
    resource = {"type": "buckets", "orgID": org}
    permissions = [{"action": action, "resource": resource} for action in ("read", "write")]
    body = {"orgID": org, "permissions": permissions}
    return str(influx.call("POST", "/api/v2/authorizations", body)["token"])


def test_a_token_that_may_only_write_is_all_that_is_needed_and_nothing_is_left_behind(
    influx: Influx, tmp_path: Path
) -> None:
    bucket = influx.fresh_bucket()
    finding = found(tmp_path, influx.url, token(influx, "write", bucket=bucket), bucket)
    assert finding.ok, finding
    assert bucket in finding.detail
    assert influx.query(f'from(bucket: "{bucket}") |> range(start: 0)') == []


def test_a_token_that_cannot_write_is_told_with_bucket_and_remedy(influx: Influx, tmp_path: Path) -> None:
    bucket = influx.fresh_bucket()
    for bad, told in (
        (token(influx, "read", bucket=bucket), "write access"),
        (token_of_another_organisation(influx, f"other-{bucket}"), "belongs to this organisation"),
        (token(influx, "read", "write", bucket=bucket, status="inactive"), "activate it"),
    ):
        finding = found(tmp_path, influx.url, bad, bucket)
        assert not finding.ok
        assert f"bucket '{bucket}'" in finding.detail
        assert told in finding.detail


def test_each_bucket_that_is_missing_is_named(influx: Influx, tmp_path: Path) -> None:
    bucket = influx.fresh_bucket()
    finding = found(tmp_path, influx.url, influx.token, "no_such", bucket, "nor_this")
    assert not finding.ok
    assert "bucket 'no_such'" in finding.detail
    assert "bucket 'nor_this'" in finding.detail
    assert f"bucket '{bucket}'" not in finding.detail
    assert "edge-gateway influx apply" in finding.detail


@pytest.mark.parametrize(
    ("bad", "told"), [({"token": "nonsense"}, "check influx.token"), ({"org": "nobody"}, "check influx.org")]
)
def test_what_is_wrong_with_every_bucket_alike_is_told(
    influx: Influx, tmp_path: Path, bad: dict[str, str], told: str
) -> None:
    asked = {"token": influx.token, "org": influx.org} | bad
    finding = found(tmp_path, influx.url, asked["token"], influx.fresh_bucket(), org=asked["org"])
    assert not finding.ok
    assert told in finding.detail


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    finding = found(tmp_path, f"http://127.0.0.1:{free_port()}", "t", "a", "b")
    assert not finding.ok
    assert "Connect" in finding.detail
