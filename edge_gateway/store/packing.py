"""Windows between the two forms they have: with tails by key as they are merged, and encoded by place as stored."""

from edge_gateway.store.window_table import Packed
from edge_gateway.windows.rows import Block, keys
from edge_gateway.windows.tail import Tail


def packed(block: Block) -> Packed:
    """Encode the tails of a block, and address them by place instead of key."""
    if not block.tails:
        return Packed(block.rows)
    places = enumerate(keys(block.rows))
    return Packed(block.rows, {place: block.tails[key].pack() for place, key in places if key in block.tails})


def unpacked(windows: Packed) -> Block:
    """The inverse of `packed`."""
    if not windows.tails:
        return Block(windows.rows)
    names = keys(windows.rows)
    return Block(windows.rows, {names[place]: Tail.unpack(tail) for place, tail in windows.tails.items()})
