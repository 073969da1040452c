"""Disk space held back, so that on a full disk a checkpoint, alerts and commands can still be written."""

from pathlib import Path
from typing import Final

from edge_gateway.journal.files import FILES, Files

RESERVE_BYTES: Final = 32 << 20
_PIECE: Final = 1 << 20


class Reserve:
    """A file of `size` bytes that is given up when the disk is full and made again when there is room."""

    def __init__(self, path: Path, *, size: int = RESERVE_BYTES, files: Files = FILES) -> None:
        self._path = path
        self._size = size
        self._files = files
        self.held = False

    def make(self, *, beside: int | None = None) -> bool:
        """Take hold of the space; returns whether it is held now.

        `beside`: bytes that must stay free; as much again as is taken where it is None.
        """
        if not self.held:
            self.held = self._taken(self._size if beside is None else beside)
        return self.held

    def release(self) -> bool:
        """Give the space up; returns whether there was any to give. `make` may run in another thread meanwhile."""
        try:
            self._files.unlink(self._path)
        except OSError:
            return False
        released, self.held = self.held, False
        return released

    def _taken(self, beside: int) -> bool:
        try:
            self._files.make_directory(self._path.parent)
            return self._is_whole() or (self._has_room(beside) and self._fill() and self._is_whole())
        except OSError:
            return False

    def _has_room(self, beside: int) -> bool:
        return self._files.free_bytes(self._path.parent) >= self._size + beside

    def _is_whole(self) -> bool:
        try:
            return self._path.stat().st_size == self._size
        except OSError:
            return False

    def _fill(self) -> bool:
        """Write the file really: a hole would reserve nothing."""
        self._files.unlink(self._path)
        try:
            handle = self._files.create(self._path)
            try:
                for start in range(0, self._size, _PIECE):
                    self._files.write(handle, bytes(min(_PIECE, self._size - start)))
                self._files.sync(handle)
            finally:
                self._files.close(handle)
        except OSError:
            self._files.unlink(self._path)
            return False
        return True
