"""Editors know rule files by the modeline of the examples: the YAML language server marks, completes and explains.

It is what VS Code, Neovim and others run: `npm install -g yaml-language-server`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(file for file in (ROOT / "rules").glob("*.yaml") if not file.name.endswith(".test.yaml"))
SERVER = shutil.which("yaml-language-server")
pytestmark = pytest.mark.skipif(SERVER is None, reason="no yaml-language-server here (npm)")


class LanguageServer:
    """Talks JSON-RPC over the pipes of the server; answers whatever it asks for with nothing."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._number = 0
        capabilities = {"textDocument": {"hover": {"contentFormat": ["markdown"]}}}
        self.ask("initialize", {"processId": None, "rootUri": ROOT.as_uri(), "capabilities": capabilities})
        self._send({"method": "initialized", "params": {}})

    def ask(self, method: str, params: dict[str, Any]) -> Any:
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        while (message := self._receive()).get("id") != self._number or "method" in message:
            self._answer(message)
        return message["result"]

    def marks(self, uri: str, text: str) -> list[str]:
        """Open a file with this text; return `line:column message` of what is marked, from 1."""
        opened = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": opened}})
        while (message := self._receive()).get("params", {}).get("uri") != uri:
            self._answer(message)
        starts = [(each["range"]["start"], each["message"]) for each in message["params"]["diagnostics"]]
        return [f"{at['line'] + 1}:{at['character'] + 1} {told}" for at, told in starts]

    def _answer(self, message: dict[str, Any]) -> None:
        if "id" in message and "method" in message:
            items = (
                message.get("params", {}).get("items", []) if isinstance(message.get("params"), dict) else []
            )
            self._send({"id": message["id"], "result": [None] * len(items)})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        assert length, "the server ended"
        found: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return found


@pytest.fixture
def server() -> Iterator[LanguageServer]:
    assert SERVER is not None
    with subprocess.Popen([SERVER, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield LanguageServer(process)
        finally:
            process.kill()


def test_the_examples_have_no_marks_and_a_mistake_has_one(server: LanguageServer) -> None:
    for file in EXAMPLES:
        assert server.marks(file.as_uri(), file.read_text()) == [], file.name
    broken = EXAMPLES[1].read_text().replace("    levels:", "    levls:", 1)
    (mark,) = server.marks(EXAMPLES[1].with_name("mine.yaml").as_uri(), broken)
    line = broken[: broken.index("levls")].count("\n") + 1
    assert mark == f"{line}:5 Property levls is not allowed."


def test_keys_are_completed_and_explained(server: LanguageServer) -> None:
    head = "# yaml-language-server: $schema=../schemas/rules.schema.json\nversion: 1\ngroups:\n- name: g\n  rules:\n"
    text = head + "  - alert: A\n    expr: x\n    keep_firing_for: 1m\n    \n"
    uri = (ROOT / "rules" / "mine.yaml").as_uri()
    server.marks(uri, text)
    place = {"textDocument": {"uri": uri}}
    hover = server.ask("textDocument/hover", place | {"position": {"line": 7, "character": 6}})
    assert "How long the alert must be clear before it resolves" in hover["contents"]["value"]
    found = server.ask("textDocument/completion", place | {"position": {"line": 8, "character": 4}})
    documented = {item["label"]: item.get("documentation") for item in found["items"]}
    assert {"above", "levels", "no_data", "commands", "overrides"} <= documented.keys()
    assert "by" not in documented
