"""What a program did to a directory and on its connections, call by call, from the output of strace.

strace ─▶ lines ─▶ whole calls ─┬─ steps: create, write, truncate, sync, rename, unlink, … of files below `root`
                                └─ wires: bytes sent and received on TCP connections

A step takes place where its call returned; bytes are sent where the call began, because from then on the peer may have
them. A sync covers what had returned before it began. Memory maps are not recorded; SQLite maps only its `-shm` file,
which it rebuilds after a crash.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

Kind = Literal["make", "create", "write", "truncate", "sync", "sync-names", "rename", "unlink"]

FILE_CALLS: Final = (
    *("open", "openat", "creat", "close", "lseek", "write", "pwrite64", "writev", "truncate", "ftruncate"),
    *("fsync", "fdatasync", "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat"),
)
WIRE_CALLS: Final = ("sendto", "sendmsg", "recvfrom")
_LINE: Final = re.compile(r"(\d+) +(\d+\.\d+) (.*)", re.DOTALL)
_RESUMED: Final = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_CALL: Final = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+)", re.DOTALL)
_TEXT: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_HANDLE: Final = re.compile(r"(\d+)<")
_TCP: Final = re.compile(r"\d+<TCP:\[([^\]]+)\]>")
_UNFINISHED: Final = " <unfinished ...>"


class Step(NamedTuple):
    """One change to the directory, or one sync.

    Attributes:
        kind: what was done; `sync-names` is the sync of a directory.
        line: the line of the trace where the call returned; `begun`: where it began.
        time: seconds since 1970.
        path: relative to the root; for a rename the old path, and `target` the new one.
        file: the number of the file, whatever its name.
        offset: where `data` was written, or the size the file was truncated to.
    """

    kind: Kind
    line: int
    begun: int
    time: float
    path: str = ""
    target: str = ""
    file: int = 0
    offset: int = 0
    data: bytes = b""


class Wire(NamedTuple):
    """Bytes on a connection, named `from->to` by addresses."""

    line: int
    time: float
    connection: str
    sent: bool
    data: bytes


class _Call(NamedTuple):
    name: str
    arguments: str
    result: int
    begun: int
    begun_at: float
    line: int
    time: float

    def texts(self) -> list[bytes]:
        return [bytes.fromhex(text.replace("\\x", "")) for text in _TEXT.findall(self.arguments)]

    def numbers(self) -> list[int]:
        """Return the numbers after the last string."""
        return [int(part) for part in self.arguments.rpartition('"')[2].split(",") if part.strip().isdigit()]


def strace_command(output: Path) -> list[str] | None:
    """Return the words that run a command under strace, as TraceReader needs it; None without strace."""
    program = shutil.which("strace")
    if program is None:
        return None
    calls = ",".join((*FILE_CALLS, *WIRE_CALLS))
    shown = ["-f", "--seccomp-bpf", "-yy", "-xx", "-ttt", "-s", str(1 << 26), "-e", f"trace={calls}"]
    return [program, "-D", "-q", *shown, "-o", str(output), "--"]


@dataclass(slots=True)
class _Handle:
    """An open file: its number and position, or the directory it is."""

    file: int
    path: str
    position: int = 0


@dataclass(slots=True)
class TraceReader:
    """Reads the traces of programs that ran one after the other over one directory."""

    root: Path
    steps: list[Step] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    """The number of every file there is now, by its path below the root."""
    _directories: set[str] = field(default_factory=lambda: {""})
    _handles: dict[int, _Handle] = field(default_factory=dict)
    _made: int = 0
    _lines: int = 0

    def add_file(self, path: str, *, directory: bool = False) -> int:
        """Add a file that exists before the first trace; return its number, 0 for a directory."""
        if directory:
            self._directories.add(path)
            return 0
        self._made += 1
        self.files[path] = self._made
        return self._made

    def read(self, output: Path) -> None:
        """Read the trace of one more program."""
        self._handles.clear()
        with output.open() as lines:
            for call in self._calls(lines):
                if call.result >= 0:
                    self._take(call)
        self.steps.sort(key=lambda step: step.line)
        self.wires.sort(key=lambda wire: wire.line)

    def _calls(self, lines: Iterator[str]) -> Iterator[_Call]:
        """Yield whole calls in the order in which they returned."""
        open_calls: dict[str, tuple[str, int, float]] = {}
        for text in lines:
            self._lines += 1
            matched = _LINE.match(text)
            if matched is None:
                continue
            thread, time, said = matched[1], float(matched[2]), matched[3].rstrip("\n")
            if said.endswith(_UNFINISHED):
                said = said.removesuffix(_UNFINISHED)
                open_calls[thread] = (said, self._lines, time)
                if said.startswith("close("):
                    # Another thread may get its number before it returns.
                    yield _Call("close", said.removeprefix("close("), 0, self._lines, time, self._lines, time)
                continue
            begun, begun_at = self._lines, time
            if resumed := _RESUMED.match(said):
                if resumed[1] == "close":
                    continue
                start, begun, begun_at = open_calls.pop(thread, ("", self._lines, time))
                said = start + resumed[2]
            if called := _CALL.match(said):
                yield _Call(called[1], called[2], int(called[3]), begun, begun_at, self._lines, time)

    def _take(self, call: _Call) -> None:
        name = call.name
        if name in {"open", "openat", "creat"}:
            self._open(call)
        elif name in {"sendto", "sendmsg", "recvfrom"}:
            self._wire(call)
        elif name in {"mkdir", "mkdirat"}:
            self._make(call)
        elif name in {"unlink", "unlinkat"}:
            self._unlink(call)
        elif name.startswith("rename"):
            self._rename(call)
        elif (held := self._handle(call)) is not None:
            self._on_handle(call, held)

    def _handle(self, call: _Call) -> _Handle | None:
        number = _HANDLE.match(call.arguments)
        return self._handles.get(int(number[1])) if number else None

    def _on_handle(self, call: _Call, held: _Handle) -> None:
        match call.name:
            case "close":
                number = _HANDLE.match(call.arguments)
                assert number
                del self._handles[int(number[1])]
            case "lseek":
                held.position = call.result
            case "write" | "writev":
                self._write(call, held, held.position)
                held.position += call.result
            case "pwrite64":
                self._write(call, held, call.numbers()[-1])
            case "ftruncate":
                self._add("truncate", call, path=held.path, file=held.file, offset=call_size(call.arguments))
            case "fsync" | "fdatasync" if held.file:
                self._add("sync", call, path=held.path, file=held.file)
            case "fsync" | "fdatasync":
                self._add("sync-names", call, path=held.path)

    def _write(self, call: _Call, held: _Handle, offset: int) -> None:
        data = b"".join(call.texts())[: call.result]
        self._add("write", call, path=held.path, file=held.file, offset=offset, data=data)

    def _open(self, call: _Call) -> None:
        self._handles.pop(call.result, None)
        path = self._below(call, 0)
        if path is None:
            return
        if path in self._directories:
            self._handles[call.result] = _Handle(0, path)
            return
        if path not in self.files and "O_CREAT" in call.arguments:
            self._add("create", call, path=path, file=self.add_file(path))
        elif path in self.files and "O_TRUNC" in call.arguments:
            self._add("truncate", call, path=path, file=self.files[path])
        if path in self.files:
            self._handles[call.result] = _Handle(self.files[path], path)

    def _make(self, call: _Call) -> None:
        path = self._below(call, 0)
        if path is not None:
            self._directories.add(path)
            self._add("make", call, path=path)

    def _unlink(self, call: _Call) -> None:
        path = self._below(call, 0)
        if path in self.files:
            self._add("unlink", call, path=path, file=self.files.pop(path))

    def _rename(self, call: _Call) -> None:
        path, target = self._below(call, 0), self._below(call, 1)
        if path in self.files and target is not None:
            file = self.files[target] = self.files.pop(path)
            self._add("rename", call, path=path, target=target, file=file)

    def _wire(self, call: _Call) -> None:
        connection = _TCP.match(call.arguments)
        if connection is None:
            return
        data = b"".join(call.texts()[:1] if call.name != "sendmsg" else call.texts())[: call.result]
        sent = call.name != "recvfrom"
        line, time = (call.begun, call.begun_at) if sent else (call.line, call.time)
        self.wires.append(Wire(line, time, connection[1], sent, data))

    def _below(self, call: _Call, place: int) -> str | None:
        """Return the path a call names, relative to the root; None if it is elsewhere."""
        path = Path(call.texts()[place].decode("utf-8", "surrogateescape"))
        if path == self.root:
            return ""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else None

    def _add(
        self,
        kind: Kind,
        call: _Call,
        *,
        path: str,
        target: str = "",
        file: int = 0,
        offset: int = 0,
        data: bytes = b"",
    ) -> None:
        self.steps.append(Step(kind, call.line, call.begun, call.time, path, target, file, offset, data))


def call_size(arguments: str) -> int:
    """Return the size argument of an ftruncate."""
    return int(arguments.rpartition(",")[2])
