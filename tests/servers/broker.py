"""A real Mosquitto on a free port, with the limits the product ships for brokers."""

import os
from pathlib import Path

from edge_gateway.mqtt.embedded import find_mosquitto
from tests.servers.process import ServerProcess, accepts, free_port

LIMITS = Path(__file__).parents[2] / "broker" / "limits"


class Broker(ServerProcess):
    """A broker with its own directory and persistence; `lines` are added to its configuration.

    A restart keeps port, directory and configuration, so that sessions come back as far as they were saved:
    all of them after stop(), those of the last save after kill().
    """

    host = "127.0.0.1"

    def __init__(self, directory: Path, *lines: str, anonymous: bool = True) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.database = directory / "mosquitto.db"
        self.port = free_port()
        self.configuration = directory / "mosquitto.conf"
        self.configure(*lines, anonymous=anonymous)
        super().__init__(
            [str(find_mosquitto()), "-c", str(self.configuration)],
            directory / "mosquitto.log",
            lambda: accepts(self.host, self.port),
        )

    @property
    def url(self) -> str:
        return f"mqtt://{self.host}:{self.port}"

    def configure(self, *lines: str, anonymous: bool = True) -> None:
        """Write the configuration; it takes effect at the next start."""
        shared = [
            f"include_dir {LIMITS}",
            f"persistence_location {self.directory}/",
            "log_dest stderr",
            *(["user root"] if os.geteuid() == 0 else []),
            f"listener {self.port} {self.host}",
            f"allow_anonymous {str(anonymous).lower()}",
        ]
        self.configuration.write_text("\n".join([*shared, *lines]) + "\n")
