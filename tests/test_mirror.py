"""Every module has a test module of its own name, or a reason why not."""

from pathlib import Path

import pytest

from tests.architecture import mirror
from tests.architecture.mirror import excused, own_test, without_own_test


def test_a_module_has_a_test_of_its_own_or_a_reason() -> None:
    missing = sorted(without_own_test() - excused().keys())
    assert not missing, "write tests: " + ", ".join(f"{own_test(Path(module))}" for module in missing)


def test_a_reason_that_is_no_longer_needed_is_struck_out() -> None:
    needless = sorted(excused().keys() - without_own_test())
    assert not needless, f"run `python -m tests.architecture.mirror`, which strikes out {needless}"


def test_every_reason_is_given() -> None:
    assert all(excused().values())


def test_where_a_test_stands() -> None:
    assert own_test(Path("edge_gateway/store/salvage/sound_rows.py")) == Path(
        "tests/gateway/store/salvage/test_sound_rows.py"
    )
    assert own_test(Path("fleet_sim/noise.py")) == Path("tests/sim/test_noise.py")


def test_what_has_a_test_by_now_is_struck_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = min(without_own_test())
    tested = "fleet_sim/noise.py"
    assert tested not in without_own_test()
    file = tmp_path / "list.txt"
    file.write_text(f"# why\n{needed}  data\n{tested}  data\nfleet_sim/gone.py  data\n")
    monkeypatch.setattr(mirror, "LIST", file)
    mirror.main()
    assert file.read_text() == f"# why\n{needed}  data\n"
