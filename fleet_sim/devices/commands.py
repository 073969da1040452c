"""A device's memory of commands: each number is executed at most once, the newest has one answer."""

from dataclasses import dataclass
from enum import Enum

from fleet_wire.control_messages import Ack, Command

__all__ = ["RESTARTED", "CommandMemory", "Decision"]

RESTARTED = "the device restarted before it was done"


class Decision(Enum):
    EXECUTE = "execute"
    REPEAT = "repeat"
    IGNORE = "ignore"


@dataclass(slots=True)
class CommandMemory:
    """What survives a restart of the device: the number and id of its newest command, and the answer to it.

    The number is stored before the command is executed, so a device that dies while executing never executes
    the same command again; it then answers `failed`.
    """

    n: int = -1
    id: str = ""
    answer: Ack | None = None

    def take(self, command: Command) -> Decision:
        """Decide on an arriving command and remember it if it is new.

        Any other is answered with the newest answer: it says up to which number the device is deaf.
        """
        if command.n is not None and command.n > self.n:
            self.n, self.id, self.answer = command.n, command.id, None
            return Decision.EXECUTE
        return Decision.IGNORE if self.answer is None else Decision.REPEAT

    def answered(self, ack: Ack) -> None:
        """Store the outcome, unless a newer command has come in the meantime, whose own will be stored."""
        if ack.id == self.id:
            self.answer = ack

    def restart(self, now_ms: int) -> None:
        """Note that the device lost what it was doing."""
        if self.id and self.answer is None:
            self.answer = Ack(id=self.id, outcome="failed", n=self.n, detail=RESTARTED, ts=now_ms)
