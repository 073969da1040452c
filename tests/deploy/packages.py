"""`apt`, `python3` and `pip` for a machine without an index of packages.

What is to be installed is looked for on the machine: of apt, the programs themselves; of the lock, the versions that
the tests' own environment has. The product is copied as its wheel would be laid out: hatchling, which builds it, comes
from the index.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from collections import defaultdict
from importlib.metadata import distributions
from pathlib import Path

PROGRAMS = {
    "mosquitto": ["mosquitto", "mosquitto_passwd"],
    "openssl": ["openssl"],
    "python3-venv": ["python3"],
}
PYTHON = f"/mnt/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
PACKAGES = "/mnt/packages"


def apt(*arguments: str) -> None:
    wanted = [one for one in arguments if one not in {"install", "-y"}]
    for program in [program for package in wanted for program in PROGRAMS[package]]:
        if shutil.which(program) is None:
            raise SystemExit(f"apt: {program} is not on this machine")


def python3(*arguments: str) -> None:
    """Python itself; an environment that it makes has this pip."""
    if list(arguments[:2]) != ["-m", "venv"]:
        raise SystemExit(subprocess.run([PYTHON, *arguments], check=False).returncode)
    place = Path(arguments[2])
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", str(place)], check=True)
    (place / "bin" / "pip").symlink_to("/mnt/shims/pip")


def pip(*arguments: str) -> None:
    environment = Path(sys.argv[0]).parents[1]
    match arguments:
        case ("install", "--require-hashes", "-r", lock):
            _show_packages(environment, Path(lock).read_text())
        case ("install", "--no-deps", "."):
            _install(environment, Path.cwd())
        case _:
            raise SystemExit(f"pip: the tests do not know {arguments}")


def _show_packages(environment: Path, lock: str) -> None:
    held = {_normal(one.metadata["Name"]): one.version for one in distributions(path=[PACKAGES])}
    pinned: dict[str, set[str | None]] = defaultdict(set)
    for name, version, marker in re.findall(r"^([\w.-]+)==([^\s;\\]+)( *;)?", lock, flags=re.MULTILINE):
        pinned[_normal(name)] |= {version, None} if marker else {version}
    for name, versions in pinned.items():
        if held.get(name) not in versions:
            raise SystemExit(f"pip: the tests' environment has {name} {held.get(name)}, not {versions}")
    (_site(environment) / "locked.pth").write_text(f"{PACKAGES}\n")


def _install(environment: Path, checkout: Path) -> None:
    described = tomllib.loads((checkout / "pyproject.toml").read_text())
    project, hatch = described["project"], described["tool"]["hatch"]
    built, version = hatch["build"]["targets"]["wheel"], _version(checkout, **hatch["version"])
    site = _site(environment)
    places = {name: name for name in built["packages"]} | built["force-include"]
    for place in places.values():
        shutil.rmtree(site / place, ignore_errors=True)
    for source, place in places.items():
        shutil.copytree(checkout / source, site / place, ignore=shutil.ignore_patterns("__pycache__"))
    facts = site / f"edge_fleet-{version}.dist-info"
    facts.mkdir(exist_ok=True)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n")
    for name, target in project["scripts"].items():
        module, function = target.split(":")
        script = environment / "bin" / name
        script.write_text(f"#!{environment}/bin/python\nfrom {module} import {function}\n\n{function}()\n")
        script.chmod(0o755)


def _version(checkout: Path, path: str, pattern: str) -> str:
    """Read the version where hatchling does."""
    found = re.search(pattern, (checkout / path).read_text())
    assert found is not None, f"no version in {path}"
    return found["version"]


def _site(environment: Path) -> Path:
    return next((environment / "lib").glob("python3*")) / "site-packages"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    {"apt": apt, "python3": python3, "pip": pip}[Path(sys.argv[0]).name](*sys.argv[1:])
