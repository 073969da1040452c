"""Whose a spool is, and what another user is told."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_gateway.errors import BadInput
from edge_gateway.journal import spool_owner
from tests.other_users import AS_ROOT, NOBODY, SOMEBODY, acting_as, open_to_all

pytestmark = AS_ROOT


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A spool of nobody's, which every user finds."""
    open_to_all(tmp_path)
    one = tmp_path / "spool"
    one.mkdir(mode=0o750)
    os.chown(one, NOBODY, NOBODY)
    return one


def test_only_another_user_is_sent_to_the_owner(place: Path) -> None:
    owner = pwd.getpwuid(NOBODY).pw_name
    said = rf"the spool {place} belongs to the user {owner}: run `sudo -u {owner} edge-gateway run`$"
    with pytest.raises(BadInput, match=said):
        spool_owner.refuse_other_owner(place, "run")
    with acting_as(NOBODY):
        spool_owner.refuse_other_owner(place, "run")
    spool_owner.refuse_other_owner(place / "not yet", "run")


def test_an_owner_without_a_name_is_a_number_that_a_shell_leaves_alone(place: Path) -> None:
    os.chown(place, 54_321, 0)
    owner = spool_owner.other_owner(place)
    assert spool_owner.as_owner(owner, "doctor") == "sudo -u '#54321' edge-gateway doctor"


@pytest.mark.parametrize("may", [spool_owner.may_write, lambda place: not spool_owner.first_forbidden(place)])
def test_who_may_write_is_asked_for_the_user_that_acts(place: Path, may: Callable[[Path], bool]) -> None:
    assert may(place)
    with acting_as(NOBODY):
        assert may(place)
    with acting_as(SOMEBODY):
        assert not may(place)


def test_all_that_belongs_to_others_is_found_and_can_be_given_back(place: Path) -> None:
    (place / "journal").mkdir()
    for name, user in (("mine", NOBODY), ("journal", NOBODY), ("journal/his", 0), ("somebody's", SOMEBODY)):
        (place / name).touch()
        os.chown(place / name, user, user)
    (place / "link").symlink_to(place / "mine")
    found = [str(path.relative_to(place)) for path in spool_owner.of_others(place)]
    assert found == ["link", "somebody's", "journal/his"]
    command = spool_owner.give_back(place)
    assert command == f"sudo chown -hR {pwd.getpwuid(NOBODY).pw_name}:{grp.getgrgid(NOBODY).gr_name} {place}"
    subprocess.run(shlex.split(command)[1:], check=True)
    assert not list(spool_owner.of_others(place))


def test_an_owner_without_a_name_gets_files_back_by_number(place: Path) -> None:
    os.chown(place, 54_321, 54_322)
    assert spool_owner.give_back(place) == f"sudo chown -hR 54321:54322 {place}"


def test_a_directory_that_may_not_be_read_is_an_error(place: Path) -> None:
    with acting_as(SOMEBODY), pytest.raises(PermissionError):
        list(spool_owner.of_others(place))


def test_a_file_of_another_user_is_found_with_its_owner(place: Path) -> None:
    (place / "link").symlink_to("/etc/shadow")
    (place / "checkpoints").mkdir()
    os.chown(place / "checkpoints", NOBODY, NOBODY)
    (place / "checkpoints" / "one").touch(mode=0o640)
    with acting_as(NOBODY):
        assert spool_owner.first_forbidden(place) == place / "checkpoints/one"
