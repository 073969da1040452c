"""Memory needed for an instant is returned to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
