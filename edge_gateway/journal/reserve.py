"""Disk space held in reserve, so that checkpoints, alerts and commands can still be written when the disk is full."""

from pathlib import Path
from typing import Final

from edge_gateway.journal.files import FILES, Files

RESERVE_BYTES: Final = 32 << 20
_CHUNK: Final = 1 << 20


class Reserve:
    """A file of `size` bytes that is released when the disk is full and made again when there is room."""

    def __init__(self, path: Path, *, size: int = RESERVE_BYTES, files: Files = FILES) -> None:
        self._path = path
        self._size = size
        self._files = files
        self.held = False

    def make(self, *, beside: int | None = None) -> bool:
        """Reserve the space if `beside` more bytes are free (None: `size`); return whether it is held."""
        if not self.held:
            self.held = self._reserve(self._size if beside is None else beside)
        return self.held

    def release(self) -> bool:
        """Free the space; return whether there was any. `make` may run in another thread meanwhile."""
        try:
            self._files.unlink(self._path)
        except OSError:
            return False
        released, self.held = self.held, False
        return released

    def _reserve(self, beside: int) -> bool:
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
        """Write every byte: a sparse file would reserve nothing."""
        self._files.unlink(self._path)
        try:
            handle = self._files.create(self._path)
            try:
                for start in range(0, self._size, _CHUNK):
                    self._files.write(handle, bytes(min(_CHUNK, self._size - start)))
                self._files.sync(handle)
            finally:
                self._files.close(handle)
        except OSError:
            self._files.unlink(self._path)
            return False
        return True
