"""A site whose rules command a device, as inputs of a fold, and what the device is sent."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from edge_gateway.fold.effects import Effects
from edge_gateway.fold.messages import MessageKind
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records import codec
from edge_gateway.records.alerts import CommandChange
from edge_gateway.records.inputs import Input, Reload, Tick
from edge_gateway.rules.files.load import load_rules
from fleet_wire import control_messages, topics
from fleet_wire.control_messages import Ack, Command
from tests.gateway.fold.given import batch, birth, moment, reading, settings

HEAD = "version: 1\ngroups:\n- name: g\n  rules:\n"


def rules_of(*rules: str) -> dict[str, Any]:
    """A rule set, each rule given as YAML in flow style."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "rules.yaml"
        file.write_text(HEAD + "".join(f"  - {rule}\n" for rule in rules))
        return load_rules(file).to_plain()


class CommandedSite:
    """One device, `f1`, under rules. Times are seconds since its birth.

    `crashing`: the fold is restored from its checkpoint before every input, as if each crash came right then.
    """

    def __init__(self, *rules: str, crashing: bool = False, **changes: Any) -> None:
        self._settings = settings(**changes)
        self.pipeline = build_pipeline("gw", self._settings)
        self.crashing = crashing
        self.changes: list[CommandChange] = []
        self.sent: list[Command] = []
        self.notices: list[Command] = []
        self.reload(0, *rules)
        self._fold(batch(0, birth("f1")))
        self._seq = 0

    def reload(self, second: float, *rules: str) -> list[str]:
        return self._fold(Reload(moment(_ms(second)), rules_of(*rules)))

    def read(self, second: float, *, age: float = 0, **values: Any) -> list[str]:
        """Take in a reading that is `age` seconds old; the names of the commands that are sent."""
        message = reading("f1", self._seq, _ms(second - age), **values)
        self._seq += 1
        return self._fold(batch(_ms(second), message))

    def tick(self, second: float) -> list[str]:
        return self._fold(Tick(moment(_ms(second))))

    def pass_time(self, first: int, last: int) -> list[str]:
        """Tick every second, the last included."""
        return [name for second in range(first, last + 1) for name in self.tick(second)]

    def ack(self, second: float, command: Command, outcome: control_messages.Outcome = "done") -> list[str]:
        payload = control_messages.encode_ack(Ack(id=command.id, outcome=outcome, n=command.n))
        return self._fold(batch(_ms(second), (topics.device_topic("berlin", "f1", topics.ACK), payload)))

    def states(self, name: str) -> list[str]:
        """The states that commands of a name went through."""
        return [change.state for change in self.changes if change.name == name]

    def _fold(self, given: Input) -> list[str]:
        if self.crashing:
            state = codec.unpack(codec.pack(self.pipeline.snapshot()))
            self.pipeline = build_pipeline("gw", self._settings)
            self.pipeline.restore(state)
        sent = self._take(self.pipeline.fold(given))
        self.sent += sent
        return [command.name for command in sent]

    def _take(self, effects: Effects) -> list[Command]:
        self.changes += effects.commands
        to_device = [
            control_messages.decode_command(message.payload)
            for message in effects.outgoing
            if message.kind is MessageKind.COMMAND
        ]
        self.notices += [one for one in to_device if one.kind == "alert"]
        return [one for one in to_device if one.kind == "command"]


def restored(pipeline: Pipeline) -> Pipeline:
    """The fold after a start from its checkpoint."""
    again = build_pipeline("gw", settings())
    again.restore(codec.unpack(codec.pack(pipeline.snapshot())))
    return again


def _ms(second: float) -> int:
    return int(second * 1000)
