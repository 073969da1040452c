"""A file system seam whose steps fail on demand."""

import errno
from pathlib import Path

from edge_gateway.journal.files import Files


class FaultyFiles(Files):
    """Real files; `fail` maps a step to the errors of its next calls, None for a success."""

    def __init__(self) -> None:
        self.fail: dict[str, list[int | None]] = {}
        self.partial: int | None = None
        self.steps: list[str] = []

    def _step(self, name: str) -> None:
        self.steps.append(name)
        errors = self.fail.get(name)
        if errors and (code := errors.pop(0)) is not None:
            raise OSError(code, errno.errorcode[code])

    def create(self, path: Path) -> int:
        self._step("create")
        return super().create(path)

    def write(self, handle: int, data: bytes) -> None:
        try:
            self._step("write")
        except OSError:
            super().write(handle, data[: self.partial or 0])
            raise
        super().write(handle, data)

    def datasync(self, handle: int) -> None:
        self._step("datasync")
        super().datasync(handle)

    def sync(self, handle: int) -> None:
        self._step("sync")
        super().sync(handle)

    def truncate(self, handle: int, size: int) -> None:
        self._step("truncate")
        super().truncate(handle, size)

    def rename(self, source: Path, target: Path) -> None:
        self._step("rename")
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        self._step("unlink")
        super().unlink(path)

    def sync_directory(self, path: Path) -> None:
        self._step("sync_directory")
        super().sync_directory(path)
