"""The version of both programs and of the wheel that contains them."""

from typing import Final

VERSION: Final = "0.1.0"
