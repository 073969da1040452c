"""A database that takes every write and keeps none, as a process of its own: `python -m benchmarks.sink PORT`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.child import Child
from tests.servers.process import accepts, free_port, wait_until

START_S = 20.0


class Taken(BaseHTTPRequestHandler):
    """Answers every write as InfluxDB does when it succeeds."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read the body and answer 204."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the class has it
        """Say nothing."""


@contextmanager
def sink(directory: Path) -> Iterator[dict[str, str]]:
    """Run such a database; yields the `influx` section for it."""
    port = free_port()
    child = Child([sys.executable, "-m", "benchmarks.sink", str(port)], directory / "sink.log")
    try:
        wait_until(lambda: accepts("127.0.0.1", port), START_S, "the sink listens")
        token = directory / "token"
        token.write_text("bench")
        token.chmod(0o600)
        yield {"url": f"http://127.0.0.1:{port}", "org": "bench", "token": f"file:{token}"}
    finally:
        child.stop()


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Taken).serve_forever()
