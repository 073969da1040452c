"""Everything that a proof replaces in the product exists: found here, not when the proof is armed."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.rooms import ROOT
from tests.proofs.ground.brisk import DEFAULTS, defaults_of
from tests.proofs.ground.failpoints import Attribute, NoSuchPoint

FOLDERS = ("tests/proofs", "tests/servers", "benchmarks", "fleet_demo")
PLACE = re.compile(r"(edge_gateway|fleet_sim|fleet_wire|fleet_config)(\.\w+)+:\w+(\.\w+)*")


def places_in(source: str) -> Iterator[str]:
    """Every string of the form `module:attribute` that names the product; text around it does not hide it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (found.group() for found in PLACE.finditer(node.value))


def named_places() -> list[str]:
    files = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return sorted({place for path in files for place in places_in(path.read_text())})


@pytest.mark.parametrize("place", named_places())
def test_every_sabotaged_name_exists(place: str) -> None:
    Attribute.parse(place).resolve()


@pytest.mark.parametrize("file", ["failpoints.py", "brisk.py", "killing.py", "full_inside.py", "network.py"])
def test_the_files_that_sabotage_names_are_read(file: str) -> None:
    (path,) = Path(ROOT / "tests/proofs").rglob(file)
    assert set(places_in(path.read_text())) & set(named_places())


def test_a_dotted_name_is_found_in_any_string() -> None:
    source = (
        'x = f"--set={y}"\nz = "--set=edge_gateway.service.engine:Engine.submit=3"\n"""like fleet_wire.a:b"""'
    )
    assert list(places_in(source)) == ["edge_gateway.service.engine:Engine.submit", "fleet_wire.a:b"]


@pytest.mark.parametrize(("place", "argument"), DEFAULTS)
def test_every_changed_default_exists(place: str, argument: str) -> None:
    assert argument in defaults_of(place, argument)


def test_a_missing_default_is_reported() -> None:
    with pytest.raises(NoSuchPoint, match="no default for gone"):
        defaults_of("edge_gateway.journal.segments:Journal.open", "gone")
