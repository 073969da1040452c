"""Commands that were sent and have not ended, by device.

One that wants to be confirmed is awaited: its device is sent nothing else meanwhile, but for what overtakes it. The
others are kept for an answer that may come, a refusal of the broker, and a restart, which sends them again.
"""

from __future__ import annotations

from collections.abc import Iterable

from edge_gateway.fold.pending_command import PendingCommand

MOST_UNANSWERED, MOST_UNANSWERED_A_DEVICE = 10_000, 20
"""Commands that nobody awaits: in all, and of one device."""


class SentCommands:
    """The commands, and which of them a device's next one waits for."""

    def __init__(self, commands: Iterable[PendingCommand] = ()) -> None:
        self.awaited: dict[str, PendingCommand] = {}
        self._unanswered: dict[str, list[PendingCommand]] = {}
        self._unanswered_count = 0
        for command in commands:
            self.add(command)

    def __bool__(self) -> bool:
        return bool(self.awaited or self._unanswered)

    def __len__(self) -> int:
        return len(self.awaited) + self._unanswered_count

    def all(self) -> list[PendingCommand]:
        """Return every command, those of a device by their numbers."""
        return [sent for device in self.awaited | self._unanswered for sent in self.of(device)]

    def of(self, device: str) -> list[PendingCommand]:
        """Return the commands of a device by their numbers; the awaited one is the newest."""
        awaited = self.awaited.get(device)
        return [*self._unanswered.get(device, ()), *(() if awaited is None else (awaited,))]

    def has(self, command: PendingCommand) -> bool:
        """Whether a command is one of these."""
        return any(one is command for one in self.of(command.device))

    def add(self, command: PendingCommand) -> None:
        """Take in a command that was just sent."""
        if command.is_confirmed:
            self.awaited[command.device] = command
        else:
            self._unanswered.setdefault(command.device, []).append(command)
            self._unanswered_count += 1

    def end(self, command: PendingCommand) -> bool:
        """Let go of a command; False if it is none of these."""
        if self.awaited.get(command.device) is command:
            del self.awaited[command.device]
            return True
        own = self._unanswered.get(command.device, [])
        left = [one for one in own if one is not command]
        self._unanswered_count -= len(own) - len(left)
        if left:
            self._unanswered[command.device] = left
        else:
            self._unanswered.pop(command.device, None)
        return len(left) < len(own)

    def too_many(self, device: str) -> PendingCommand | None:
        """Return the oldest command that nobody awaits, if this device or all together have too many."""
        own = self._unanswered.get(device, [])
        if len(own) > MOST_UNANSWERED_A_DEVICE:
            return own[0]
        if self._unanswered_count <= MOST_UNANSWERED:
            return None
        return next(iter(self._unanswered.values()))[0]
