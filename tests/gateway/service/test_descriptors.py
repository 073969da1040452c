"""The limit of open files is raised as far as the system allows, and reported before it is reached."""

from __future__ import annotations

import os
import resource

import pytest

from edge_gateway.service.descriptors import LEAST, MOST, raise_limit, shortage

WITHOUT = resource.RLIM_INFINITY


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The limits of a process, as it sees and sets them: the newest is in force."""
    kept: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: kept[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: kept.append(wanted))
    return kept


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        ((1024, 4096), (4096, 4096), 4096),
        ((1024, 1 << 30), (MOST, 1 << 30), MOST),
        ((1024, WITHOUT), (MOST, WITHOUT), MOST),
        ((1024, 1024), (1024, 1024), 1024),
        ((MOST * 2, MOST * 4), (MOST * 2, MOST * 4), MOST * 2),
        ((WITHOUT, WITHOUT), (WITHOUT, WITHOUT), MOST),
    ],
)
def test_the_limit_is_raised_as_far_as_allowed(
    limits: list[tuple[int, int]], before: tuple[int, int], after: tuple[int, int], allowed: int
) -> None:
    limits.append(before)
    assert raise_limit() == allowed
    assert limits[-1] == after


def test_a_shortage_is_reported_before_and_when_it_occurs(
    limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = 0
    monkeypatch.setattr(os, "listdir", lambda _: ["x"] * opened)
    limits.append((1000, 1000))
    assert shortage() == ""
    opened = 800
    assert shortage() == ""
    opened = 801
    assert shortage() == "801 of 1000 files are open: raise LimitNOFILE"

    def exhausted(_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "listdir", exhausted)
    assert shortage() == "no further file can be opened (Too many open files)"
    limits.append((LEAST - 1, LEAST - 1))
    assert shortage().startswith(f"only {LEAST - 1} files may be open")
    limits.append((WITHOUT, WITHOUT))
    assert shortage() == ""
