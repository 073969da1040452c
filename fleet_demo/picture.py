"""Draw what the demo printed: `COLUMNS=120 ./demo | .venv/bin/python -m fleet_demo.picture docs/demo.svg`.

Lines and colours are those of the demo on a terminal.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 132
STYLES = (
    (r"^ *\d+ s  ", "dim"),
    (r"(?<= s  )(FAULT|kill -9 of|a mistake in|frz-\d+ is offline).*", "yellow"),
    (r"(?<= s  )ALERT.*", "bold red"),
    (r"(?<= s  )(command|RESOLVED|restarted|fixed|frz-\d+ is back).*", "green"),
    (r"^true ", "green"),
    (r"^FALSE ", "bold red"),
    (r"^(All|Not all) true.*", "bold"),
    (r"╌+", "yellow"),
    (r"●", "bold cyan"),
)


def main() -> None:
    """Read the text from standard input, write the picture to the path given."""
    console = Console(width=WIDTH, record=True, file=io.StringIO(), color_system="truecolor", highlight=False)
    for line in sys.stdin:
        text = Text(line.rstrip("\n"))
        for pattern, style in STYLES:
            text.highlight_regex(re.compile(pattern), style)
        console.print(text)
    svg = console.export_svg(title="./demo", font_aspect_ratio=0.61)
    # Without the web fonts: a picture in a README fetches nothing.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace(
        "Fira Code, monospace", "monospace"
    )
    Path(sys.argv[1]).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
