"""The variable part of a row, which its fixed width cannot hold; most rows have none."""

from dataclasses import dataclass
from typing import Final

import msgspec

from edge_gateway.records.sketch import Sketch


@dataclass(frozen=True, slots=True)
class Tail:
    """The variable part of a WINDOW_ROW."""

    huge: int = 0
    """The part of the sum that the limbs cannot hold, in units of 2⁻¹⁰⁷⁴."""
    sketch: Sketch | None = None
    """The window's values, for the p95."""

    def __bool__(self) -> bool:
        return bool(self.huge) or self.sketch is not None

    def merged(self, other: "Tail", spilled: int = 0) -> "Tail":
        """Merge two tails; the sketch is kept only if both have one, since otherwise it would lack values.

        Args:
            other: the other tail.
            spilled: what the merged limbs could not hold, in units of 2⁻¹⁰⁷⁴.
        """
        sketch = None
        if self.sketch is not None and other.sketch is not None:
            sketch = self.sketch.merged(other.sketch)
        return Tail(self.huge + other.huge + spilled, sketch)

    def pack(self) -> bytes:
        huge = self.huge.to_bytes(self.huge.bit_length() // 8 + 1, "little", signed=True)
        return msgspec.msgpack.encode((huge, None if self.sketch is None else self.sketch.pack()))

    @classmethod
    def unpack(cls, data: bytes) -> "Tail":
        """Return the tail that `pack` made these bytes of. Raises msgspec.MsgspecError for other bytes."""
        huge, sketch = msgspec.msgpack.decode(data, type=tuple[bytes, bytes | None])
        held = None if sketch is None else Sketch.unpack(sketch)
        return cls(int.from_bytes(huge, "little", signed=True), held)


NO_TAIL: Final = Tail()
