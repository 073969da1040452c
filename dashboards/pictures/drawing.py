"""Draw dashboards in headless Chromium."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
SCRIPTS: Final = {
    "react.js": "react/umd/react.production.min.js",
    "react-dom.js": "react-dom/umd/react-dom.production.min.js",
    "giraffe.js": "@influxdata/giraffe/dist/index.js",
}
ROW: Final = 83.5
"""Height of a row of the grid, pixels."""
WIDTH: Final = 1250
_FAULTS: Final = re.compile(
    r'<pre id="faults"[^>]*>(.*?)</pre>.*data-done|data-done.*<pre id="faults"[^>]*>(.*?)</pre>', re.DOTALL
)
_FLAGS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--virtual-time-budget=8000",
)


class ToolMissing(Exception):
    """What draws is not installed; the text says how to get it."""


class Drawer:
    """Draws dashboards on pages below a directory, which holds the scripts, too."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._chromium = shutil.which("chromium") or shutil.which("google-chrome") or ""
        if not self._chromium:
            raise ToolMissing("there is no Chromium: apt-get install chromium")
        self._install()

    def _install(self) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise ToolMissing("there is no npm: apt-get install npm")
        shutil.copy(HERE / "package.json", self._directory)
        command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
        subprocess.run(command, cwd=self._directory, check=True, stdout=subprocess.DEVNULL)
        for name, path in SCRIPTS.items():
            shutil.copy(self._directory / "node_modules" / path, self._directory / name)
        for name in ("page.html", "draw.js", "shrink.js"):
            shutil.copy(HERE / name, self._directory)

    def draw(self, board: Mapping[str, Any], answer: Callable[[str], str], picture: Path) -> list[str]:
        """Draw a dashboard, and return what is wrong with it.

        Args:
            board: the dashboard's `spec`.
            answer: returns the annotated CSV of a query.
            picture: the PNG to write.
        """
        cells = [
            {"cell": cell, "csv": "\n".join(answer(query["query"]) for query in cell.get("queries", ()))}
            for cell in board["charts"]
        ]
        data = json.dumps({"name": board["name"], "cells": cells})
        (self._directory / "cells.js").write_text(f"const BOARD = {data};", encoding="utf-8")
        height = int(max(cell["yPos"] + cell["height"] for cell in board["charts"]) * ROW) + 60
        page = self._run("--dump-dom", height)
        self._run(f"--screenshot={picture}", height)
        subprocess.run(["node", "shrink.js", str(picture.resolve())], cwd=self._directory, check=True)
        found = _FAULTS.search(page)
        if found is None:
            return ["the page did not come to its end"]
        return html.unescape(found[1] or found[2] or "").splitlines()

    def _run(self, what: str, height: int) -> str:
        profile = f"--user-data-dir={self._directory / 'profile'}"
        size, page = f"--window-size={WIDTH},{height}", (self._directory / "page.html").as_uri()
        command: Sequence[str] = [self._chromium, *_FLAGS, profile, size, what, page]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
