"""The release as a user gets it: built, installed without the checkout, and run in an empty directory."""

import subprocess
import sys
from pathlib import Path

import pytest

from edge_gateway.errors import CannotReach
from edge_gateway.mqtt.embedded import find_mosquitto
from fleet_console.version import VERSION
from tests.conftest import unavailable

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_wheel_installs_and_runs_without_the_checkout(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    try:
        find_mosquitto()
    except CannotReach as error:
        unavailable(request.config, str(error))
    done = subprocess.run(
        [sys.executable, "setup/package.py", "--offline", "--output", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        f"edge_fleet-{VERSION}.tar.gz",
        f"edge_fleet-{VERSION}-py3-none-any.whl",
    }
    assert f"git tag -a v{VERSION}" in done.stdout


def test_the_changelog_names_the_version() -> None:
    versions = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## [")]
    assert versions[0].startswith(f"## [{VERSION}]")
