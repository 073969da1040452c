"""How much of the store's file a row with a large value takes.

A budget in bytes of values alone would not bound the file: beside a value stand its row and its entries in indexes, and
SQLite fills a page with whole rows as long as one fits. What one part takes beyond its own measure would be charged to
another, as the history is what the rest of the file leaves.
"""

from typing import Final

PAGE: Final = 4_096
_ROW: Final = 45
"""What stands in a page beside a value: key, lengths, short columns."""
_INDEXES: Final = 40
_BLOCK: Final = 150
"""What a block has beside its body: its own row and that of the outbox, with their entries in indexes."""


def row_in_file(size: int) -> int:
    """Return about how many bytes a row takes whose value has `size` bytes, with its entries in indexes."""
    row = size + _ROW
    in_pages = PAGE // (PAGE // row) if row <= PAGE else row + PAGE // 8
    return in_pages + _INDEXES


def block_in_file(size: int) -> int:
    """Return the same of a block whose keys and body have `size` bytes."""
    return row_in_file(size) + _BLOCK
