"""Real files whose every step is written down, for a disk that forgets."""

import random
from pathlib import Path

from edge_gateway.journal.files import Files
from tests.proofs.power.disk_model import VARIANTS, Disk
from tests.proofs.power.disk_trace import Kind, Step


class TracedFiles(Files):
    """Steps below `root`, in their order."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.steps: list[Step] = []
        self._numbers: dict[Path, int] = {}
        self._made = 0
        self._handles: dict[int, tuple[Path, int]] = {}

    def _add(
        self, kind: Kind, path: Path, *, target: Path | None = None, offset: int = 0, data: bytes = b""
    ) -> None:
        line = len(self.steps) + 1
        below, to = (str(one.relative_to(self.root)) if one else "" for one in (path, target))
        file = 0 if path.is_dir() else self._numbers.get(path, 0)
        below = "" if below == "." else below
        self.steps.append(Step(kind, line, line, 0.0, below, to, file, offset, data))

    def create(self, path: Path) -> int:
        handle = super().create(path)
        self._made += 1
        self._numbers[path] = self._made
        self._add("create", path)
        self._handles[handle] = path, 0
        return handle

    def reopen(self, path: Path) -> int:
        handle = super().reopen(path)
        self._handles[handle] = path, 0
        return handle

    def write(self, handle: int, data: bytes) -> None:
        super().write(handle, data)
        path, offset = self._handles[handle]
        self._add("write", path, offset=offset, data=bytes(data))
        self._handles[handle] = path, offset + len(data)

    def seek(self, handle: int, at: int) -> None:
        super().seek(handle, at)
        self._handles[handle] = self._handles[handle][0], at

    def datasync(self, handle: int) -> None:
        self._add("sync", self._handles[handle][0])

    def sync(self, handle: int) -> None:
        self._add("sync", self._handles[handle][0])

    def truncate(self, handle: int, size: int) -> None:
        super().truncate(handle, size)
        self._add("truncate", self._handles[handle][0], offset=size)

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self._add("rename", source, target=target)
        self._numbers[target] = self._numbers.pop(source)

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        if path in self._numbers:
            self._add("unlink", path)
            del self._numbers[path]

    def make_directory(self, path: Path) -> None:
        if not path.parent.is_dir():
            self.make_directory(path.parent)
        if not path.is_dir():
            path.mkdir()
            self._add("make", path)
        super().make_directory(path)

    def sync_directory(self, path: Path) -> None:
        self._add("sync-names", path)

    def cut(self, step: int, variant: str, chance: random.Random, left: Path) -> None:
        """Write to a directory what one possible disk holds when the power goes after so many steps."""
        disk = Disk()
        for done in self.steps[:step]:
            disk.apply(done)
        disk.leave(left, VARIANTS[variant](disk.waiting(), chance), chance)
