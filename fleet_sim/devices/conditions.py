"""The conditions on a simulated link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["GOOD", "Conditions"]


class Conditions(NamedTuple):
    """A link in each direction: delay in seconds, bytes per second (None: unlimited), `dark`: nothing passes."""

    delay: float = 0.0
    rate: float | None = None
    dark: bool = False

    @classmethod
    def together(cls, every: Iterable[Self]) -> Conditions:
        """Return the combined conditions of one link: delays add up, the lowest rate holds."""
        links = list(every)
        rates = [link.rate for link in links if link.rate is not None]
        return Conditions(
            sum(link.delay for link in links),
            min(rates) if rates else None,
            any(link.dark for link in links),
        )


GOOD: Final = Conditions()
