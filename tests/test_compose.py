"""compose.yaml and Dockerfile, as far as they can be held without a Docker engine."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_gateway.configuration.loading import load_config

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OURS = "edge-fleet"
MADE_BY_SETUP = ".edge-gateway/secrets/"

each_service = pytest.mark.parametrize("name", SERVICES)


@each_service
def test_what_is_mounted_is_there_or_a_declared_volume(name: str) -> None:
    for mount in SERVICES[name].get("volumes", []):
        source = mount.split(":")[0]
        if source.startswith("./"):
            assert (ROOT / source).exists(), source
        else:
            assert source in COMPOSE["volumes"]


@each_service
def test_ports_are_published_on_this_machine_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


@each_service
def test_images_are_pinned_at_least_by_minor_version(name: str) -> None:
    image = SERVICES[name]["image"]
    if image == OURS:
        assert SERVICES[name]["build"] == "."
    else:
        assert re.fullmatch(r"[a-z-]+:\d+\.\d+(\.\d+)?", image)


@each_service
def test_secrets_are_files_and_in_no_variable(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search("TOKEN|PASSWORD", variable):
            assert re.search(r"(^|^file:)/run/secrets/[a-z-]+$", value)
            assert value.rpartition("/")[2] in SERVICES[name]["secrets"]
    for secret in SERVICES[name].get("secrets", []):
        assert COMPOSE["secrets"][secret]["file"].startswith(MADE_BY_SETUP)


@each_service
def test_whom_it_waits_for_can_say_that_it_is_ready(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            ours = SERVICES[other]["image"] == OURS and "HEALTHCHECK" in DOCKERFILE
            check = SERVICES[other].get("healthcheck", {})
            assert "test" in check or (ours and not check.get("disable"))
        else:
            assert "restart" not in SERVICES[other], "a service that is started again never completes"


def test_setup_makes_every_secret() -> None:
    script = (ROOT / "setup" / "secrets").read_text()
    for secret in COMPOSE["secrets"]:
        assert re.search(rf"for name in [^;]*\b{secret}\b", script)


@pytest.mark.parametrize(("argument", "status"), [("--help", 0), ("-h", 0), ("--nonsense", 2)])
def test_the_script_of_the_secrets_explains_itself_and_makes_none(
    tmp_path: Path, argument: str, status: int
) -> None:
    (tmp_path / "setup").mkdir()
    script = Path(shutil.copy(ROOT / "setup" / "secrets", tmp_path / "setup"))
    ended = subprocess.run([script, argument], capture_output=True, text=True, check=False)
    assert ended.returncode == status
    assert "Creates the secrets of compose.yaml" in (ended.stdout if status == 0 else ended.stderr)
    assert not (tmp_path / ".edge-gateway").exists()


def test_the_gateway_accepts_its_variables() -> None:
    config = load_config(None, environment=SERVICES["gateway"]["environment"]).config
    assert config.mqtt.host in SERVICES
    assert config.influx is not None
    assert config.influx.url == "http://influxdb:8086"
    mounted = [mount.split(":")[1] for mount in SERVICES["gateway"]["volumes"]]
    assert {str(config.rules.path), str(config.spool.path)} <= set(mounted)


def test_the_health_check_asks_where_the_gateway_answers() -> None:
    config = load_config(None, environment=SERVICES["gateway"]["environment"]).config
    assert f"http://{config.http.listen}/healthz" in DOCKERFILE


def test_the_image_is_built_from_what_is_there_by_hash_and_runs_as_nobody_special() -> None:
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, flags=re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), source
            assert f"!{source}\n" in (ROOT / ".dockerignore").read_text()
    assert "--require-hashes" in DOCKERFILE
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, flags=re.MULTILINE) == ["edge"]
    assert all(
        re.fullmatch(r"python:3\.\d+-slim-\w+", image) for image in re.findall(r"^FROM (\S+)", DOCKERFILE)
    )
