"""What is due at intervals of a clock that somebody else reads."""

from dataclasses import dataclass


@dataclass(slots=True)
class Cadence:
    """An interval of `ms`; `since`: when it was last due, ms of the same clock."""

    ms: int
    since: int = 0

    def is_due(self, now: int) -> bool:
        """Return whether the interval is over at `now`, which begins the next one."""
        due = now - self.since >= self.ms
        if due:
            self.since = now
        return due
