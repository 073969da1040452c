"""The version of both programs, which are built and installed together; the wheel takes its own from here."""

from typing import Final

VERSION: Final = "0.1.0"
