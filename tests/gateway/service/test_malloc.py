"""Memory needed for an instant is returned to the system."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from edge_gateway.service.malloc import return_free_memory, return_gaps

PROGRAM = """
import ctypes, threading
from pathlib import Path
from edge_gateway.service.malloc import return_free_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def work():
    bytearray(30 << 20)  # by itself glibc keeps blocks of this size from now on
    kept.append([bytearray(1 << 20) for _ in range(25)][-1])

return_free_memory()
kept, before = [], resident()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
    thread.join()
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_memory_freed_by_threads_is_returned_to_the_system() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, check=True).stdout
    assert int(told) < 12 << 20


GAPS = """
from pathlib import Path
from edge_gateway.service.malloc import return_free_memory, return_gaps

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

return_free_memory()
blocks = [b"x" * (60_000 + number) for number in range(1_000)]
held = resident()
del blocks[:-1]  # the last one keeps the heap's end where it is
return_gaps()
print(held - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_gaps_below_a_block_in_use_are_returned_to_the_system() -> None:
    told = subprocess.run([sys.executable, "-c", GAPS], stdout=subprocess.PIPE, check=True).stdout
    assert int(told) > 50 << 20


def test_without_glibc_no_gaps_are_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    return_gaps()


class Library:
    """A C library: keeps what it was set to."""

    def __init__(self, **functions: object) -> None:
        self.set: dict[int, int] = {}
        self.__dict__.update(functions)

    def mallopt(self, parameter: int, value: int) -> None:
        self.set[parameter] = value


@pytest.mark.parametrize(
    ("library", "settings"),
    [(Library(gnu_get_libc_version=None), {-8: 1, -3: 128 << 10, -1: 128 << 10}), (Library(), {})],
)
def test_only_glibc_is_told_to_use_one_heap_and_to_keep_nothing_large(
    monkeypatch: pytest.MonkeyPatch, library: Library, settings: dict[int, int]
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    return_free_memory()
    assert library.set == settings
