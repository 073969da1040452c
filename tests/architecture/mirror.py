"""Which modules have a test module of their own name: `a/b.py` of edge_gateway has `tests/gateway/a/test_b.py`.

Modules without one stand in `no_test_of_its_own.txt`, each with a reason: the list only shrinks. `python -m
tests.architecture.mirror` strikes out the lines that are no longer true.
"""

from pathlib import Path
from typing import Final

from tests.architecture.rooms import ROOT, files_of

MIRRORS: Final = {
    "edge_gateway": Path("tests/gateway"),
    "fleet_config": Path("tests/config"),
    "fleet_console": Path("tests/console"),
    "fleet_recordings": Path("tests/recordings"),
    "fleet_sim": Path("tests/sim"),
    "fleet_wire": Path("tests/wire"),
}
LIST: Final = Path(__file__).with_name("no_test_of_its_own.txt")


def own_test(module: Path) -> Path:
    """Where a module's test stands; both relative to the repository."""
    package, *folders, name = module.parts
    return MIRRORS[package].joinpath(*folders, f"test_{name}")


def without_own_test() -> set[str]:
    """Modules that have no test module of their own name, as paths; `__init__` and `__main__` need none."""
    modules = [path for package in MIRRORS for path in files_of(package) if not path.name.startswith("__")]
    return {path.as_posix() for path in modules if not (ROOT / own_test(path)).exists()}


def excused() -> dict[str, str]:
    """The listed modules, and why each has no test of its own."""
    rows = (line.partition("  ") for line in LIST.read_text().splitlines() if line and line[0] != "#")
    return {module: reason.strip() for module, _, reason in rows}


def main() -> None:
    """Strike out of the list what has a test of its own by now, or is gone."""
    still = without_own_test()
    lines = [
        line for line in LIST.read_text().splitlines() if line[:1] in ("", "#") or line.split()[0] in still
    ]
    LIST.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
